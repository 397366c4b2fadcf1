"""The switch in a clone: completely, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import pytest

import modelctl
from modelctl import Integrity, NotFound, Refused, Unavailable, Usage
from tests.repos import Repo


def live(repo: Repo) -> str | None:
    (model,) = modelctl.Repository(repo.path).status().models
    assert model.exact, model
    return model.release


def state(repo: Repo) -> tuple[object, ...]:
    """Everything that a refused switch must leave as it was."""
    return (repo.head(), repo.branch(), repo.tree(), repo.git("status", "--porcelain"), repo.cached())


def refused(repo: Repo, error: type[modelctl.ModelctlError], *args: str, **options: object) -> modelctl.ModelctlError:
    """Assert that a rollback raises `error` and changes nothing; returns what it said."""
    before = state(repo)
    with pytest.raises(error) as caught:
        modelctl.Repository(repo.path).rollback(*args, **options)
    assert state(repo) == before
    assert not modelctl.Repository(repo.path).history()
    return caught.value


def test_rollback_is_checkout_and_pull(repo: Repo) -> None:
    """After a rollback HEAD, tracked files and model bytes are those of the tag, as the two commands leave them."""
    expected = repo.clone("expected")
    expected.git("checkout", "-q", "model-v1")
    expected.dvc("remote", "modify", "--local", "store", "url", str(repo.path.parent / "remote"))
    expected.dvc("pull", "-q")

    done = modelctl.Repository(repo.path).rollback("v1", reason="v3 is wrong")

    assert done.changed
    assert repo.head() == expected.head() == repo.git("rev-parse", "model-v1^{commit}")
    assert repo.branch() == ""
    assert repo.tree() == expected.tree()
    repo.assert_clean()


def test_rollback_without_a_name_goes_one_back(repo: Repo) -> None:
    """A bare rollback goes to the release before, a second one further back, and it never oscillates."""
    mine = modelctl.Repository(repo.path)
    assert [mine.rollback().target for _ in range(2)] == ["v2", "v1"]
    with pytest.raises(NotFound, match="no earlier release"):
        mine.rollback()


def test_rollback_goes_to_what_was_live_here(repo: Repo) -> None:
    """After deploys from v1 to v3 a bare rollback returns to v1, which was live, and not to v2, which never was."""
    mine = modelctl.Repository(repo.path)
    mine.deploy("v1")
    mine.deploy("v3")
    assert mine.rollback().target == "v1"


def test_undo_is_a_stack(repo: Repo) -> None:
    """From v3 to v2, on to v1, and two undos end where it began, branch included."""
    before = state(repo)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2")
    mine.rollback("v1")
    assert mine.undo().target == "v2"
    assert live(repo) == "v2"
    mine.undo()
    assert state(repo) == before
    assert repo.branch() == "main"
    with pytest.raises(NotFound, match="no switch to undo"):
        mine.undo()


def test_undo_refuses_to_guess_when_the_branch_has_moved(repo: Repo) -> None:
    """When somebody committed to the branch meanwhile, undo says so instead of going somewhere else."""
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2")
    repo.git("branch", "-f", "main", "model-v1")
    with pytest.raises(Refused, match="main has moved"):
        mine.undo()


def test_undo_refuses_when_head_was_moved_by_hand(repo: Repo) -> None:
    """After a plain `git switch` there is nothing that undo could take back."""
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2")
    repo.git("switch", "-q", "main")
    with pytest.raises(Refused, match="HEAD has moved"):
        mine.undo()


def test_what_is_live_already_is_left_alone(repo: Repo) -> None:
    """A rollback to what is live changes nothing and writes no history."""
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2")
    again = mine.rollback("v2")
    assert not again.changed
    assert len(mine.history()) == 1


def test_dry_run_writes_nothing(repo: Repo) -> None:
    """A dry run plans, refuses what the switch would refuse, and leaves no trace."""
    before = state(repo)
    plan = modelctl.Repository(repo.path).rollback("v1", dry_run=True)
    assert plan.dry_run
    assert {out.path for out in plan.outs} == {"models/model.bin", "models/dir"}
    assert state(repo) == before
    assert not (repo.path / ".git/modelctl/history.jsonl").exists()


def test_changed_model_is_refused(repo: Repo) -> None:
    """A model file that the user changed is named, and nothing is lost."""
    path = repo.path / "models/model.bin"
    path.chmod(0o644)
    path.write_bytes(b"mine")
    assert "models/model.bin" in refused(repo, Refused, "v1").message


def test_extra_file_in_a_tracked_directory_is_refused(repo: Repo) -> None:
    """A file that the user put into a tracked directory is named, and nothing is lost."""
    repo.write("models/dir/notes.txt", "mine")
    assert "models/dir/notes.txt" in refused(repo, Refused, "v1").message


def test_changed_tracked_file_in_the_way_is_refused(repo: Repo) -> None:
    """A tracked file with changes that the release would overwrite is named."""
    repo.write("code.py", "mine")
    assert "code.py" in refused(repo, Refused, "v1").message


def test_untracked_file_in_the_way_is_refused(repo: Repo) -> None:
    """An untracked file where the release has a tracked one is named."""
    repo.git("rm", "-q", "code.py")
    repo.commit("no code")
    repo.write("code.py", "mine")
    assert "code.py" in refused(repo, Refused, "v1").message


def test_changes_not_in_the_way_stay(repo: Repo) -> None:
    """Changed and untracked files that the release does not touch are as they were, staged ones too."""
    repo.write("readme.txt", "old")
    repo.commit("readme")
    for tag in ("model-v1", "model-v2"):
        repo.git("branch", "-f", "x", tag)
    repo.write("notes/mine.txt", "untracked")
    repo.write("staged.txt", "staged")
    repo.git("add", "staged.txt")
    modelctl.Repository(repo.path).rollback("v2")
    assert repo.read("notes/mine.txt") == b"untracked"
    assert repo.git("diff", "--cached", "--name-only") == "staged.txt"


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("MERGE_HEAD", "a merge", "git merge --abort"),
        ("rebase-merge", "a rebase", "git rebase --abort"),
        ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --abort"),
    ],
)
def test_operation_in_progress_is_refused(repo: Repo, name: str, what: str, hint: str) -> None:
    """A merge, rebase or cherry-pick in progress is named with the command that ends it."""
    (repo.path / ".git" / name).write_text(repo.head())
    said = refused(repo, Refused, "v1")
    assert what in said.message
    assert hint in said.hint


def test_unknown_release_names_the_nearest(repo: Repo) -> None:
    """A name that matches nothing gets the nearest names that exist."""
    said = refused(repo, NotFound, "v7")
    assert said.message == "model has no release v7"
    assert "v3" in said.hint


def test_moved_tag_is_refused_until_accepted(repo: Repo) -> None:
    """A tag that leads elsewhere than when it was last used here is reported, and taken only on demand."""
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1")
    mine.undo()
    repo.git("tag", "-f", "-a", "-m", "moved", "model-v1", "model-v2")
    with pytest.raises(Refused, match="was moved"):
        mine.rollback("v1")
    assert mine.rollback("v1", accept_moved_tag=True).changed


def test_corrupt_object_is_never_checked_out(repo: Repo) -> None:
    """Cached bytes of the right size and the wrong content are set aside and fetched again."""
    oid = next(p.md5 for p in modelctl.Repository(repo.path).show("v1").pointers if not p.directory)
    path = repo.object(oid)
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"x" * len(good))
    path.chmod(0o444)
    done = modelctl.Repository(repo.path).rollback("v1")
    assert len(done.set_aside) == 1
    assert repo.read("models/model.bin") == good
    assert path.read_bytes() == good
    repo.assert_clean()


def test_object_that_is_nowhere_changes_nothing(repo: Repo) -> None:
    """With an object neither cached nor on the remote, the running model stays, and the object is named."""
    oid = next(p.md5 for p in modelctl.Repository(repo.path).show("v1").pointers if not p.directory)
    for place in (repo.object(oid), repo.path.parent / "remote/files/md5" / oid[:2] / oid[2:]):
        place.unlink()
    said = refused(repo, Unavailable, "v1")
    assert "models/model.bin" in said.message
    assert oid in said.message


def test_offline_rollback_needs_only_the_cache(repo: Repo) -> None:
    """A release whose objects are cached rolls back though the remote is gone."""
    (repo.path.parent / "remote").rename(repo.path.parent / "gone")
    modelctl.Repository(repo.path).rollback("v1")
    assert live(repo) == "v1"


def test_objects_of_the_left_release_are_kept(repo: Repo) -> None:
    """When the workspace has the only copy of the running model, the cache gets it before the switch removes it."""
    oid = next(p.md5 for p in modelctl.Repository(repo.path).show("v3").pointers if not p.directory)
    repo.object(oid).unlink()
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1")
    assert repo.object(oid).exists()
    (repo.path.parent / "remote").rename(repo.path.parent / "gone")
    mine.undo()
    assert live(repo) == "v3"


@pytest.mark.parametrize("kind", ["copy", "hardlink", "symlink", "reflink"])
def test_links_are_as_dvc_is_configured(repo: Repo, kind: str) -> None:
    """Files are linked by the configured type with DVC's modes, and the cache is never written through them."""
    repo.dvc("config", "cache.type", "reflink,copy" if kind == "reflink" else kind)
    repo.dvc("checkout", "--relink", "-q")
    repo.commit("links")
    before = repo.cached()
    modelctl.Repository(repo.path).rollback("v1")
    path = repo.path / "models/model.bin"
    oid = next(p.md5 for p in modelctl.Repository(repo.path).show("v1").pointers if not p.directory)
    assert path.is_symlink() == (kind == "symlink")
    assert (path.stat().st_ino == repo.object(oid).stat().st_ino) == (kind in {"hardlink", "symlink"})
    assert bool(path.stat().st_mode & stat.S_IWUSR) == (kind in {"copy", "reflink"})
    assert repo.cached() == before
    modelctl.Repository(repo.path).undo()
    repo.assert_clean()


def test_hooks_do_not_run(repo: Repo) -> None:
    """Hooks that `dvc install` or anybody else put there do not run in the middle of a switch."""
    repo.dvc("install")
    for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        hook = repo.path / ".git/hooks" / name
        hook.write_text("#!/bin/sh\ntouch ../hook-ran\n")
        hook.chmod(0o755)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1")
    mine.undo()
    mine.rollback("v1", models_only=True, commit=True)
    assert not (repo.path.parent / "hook-ran").exists()


def test_git_environment_of_a_hook_does_not_redirect(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """`GIT_DIR` and its like, as a Git hook sets them, do not lead the switch elsewhere."""
    other = repo.clone("other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git/index"))
    modelctl.Repository(repo.path).rollback("v1")
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert repo.head() == repo.git("rev-parse", "model-v1^{commit}")
    assert other.branch() == "main"


def test_read_only_models_folder_changes_nothing(repo: Repo) -> None:
    """With a folder that cannot be written the switch takes itself back and says what failed."""
    if os.geteuid() == 0:
        blocked = repo.path / "models"
        os.system(f"chattr +i {blocked} 2>/dev/null")
        try:
            (blocked / "probe").touch()
            (blocked / "probe").unlink()
            pytest.skip("root may write everywhere on this file system")
        except PermissionError:
            pass
    else:
        (repo.path / "models").chmod(0o555)
    before = repo.tree()
    try:
        with pytest.raises((OSError, modelctl.ModelctlError)):
            modelctl.Repository(repo.path).rollback("v1")
    finally:
        os.system(f"chattr -i {repo.path}/models 2>/dev/null")
        (repo.path / "models").chmod(0o755)
    assert repo.tree() == before
    assert live(repo) == "v3"
    assert repo.git("status", "--porcelain") == ""


def test_lock_of_another_git_command_is_reported(repo: Repo) -> None:
    """An `index.lock` that somebody else holds is never removed; the switch says so and takes itself back."""
    lock = repo.path / ".git/index.lock"
    lock.write_text("")
    tree = repo.tree()
    with pytest.raises(modelctl.Locked, match="another git command"):
        modelctl.Repository(repo.path).rollback("v1")
    assert lock.exists()
    lock.unlink()
    assert repo.tree() == tree
    assert live(repo) == "v3"


def test_running_dvc_is_waited_for_by_name(repo: Repo) -> None:
    """While DVC holds its lock the switch is refused as locked, with nothing changed."""
    import fcntl

    tree = repo.tree()
    with open(repo.path / ".dvc/tmp/lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(modelctl.Locked, match="dvc is at work"):
            modelctl.Repository(repo.path).rollback("v1")
    assert repo.tree() == tree


def test_history_tells_who_when_why_from_to(repo: Repo) -> None:
    """History has who, when, why, from, to, how long and how it ended, newest first, undo as a new entry."""
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1", reason="v3 mistakes 3 for 8")
    mine.undo()
    undo, first = mine.history()
    assert (first.source.tag, first.target.tag, first.reason) == (
        "model-v3",
        "model-v1",
        "v3 mistakes 3 for 8",
    )
    assert first.who == "Ann Author <ann@example.org>"
    assert first.started <= first.finished
    assert first.outcome == "done"
    assert undo.undoes == first.id


def test_models_only_leaves_code_and_head(repo: Repo) -> None:
    """`models_only` restores pointers and bytes on the current branch, ready to commit, and undo takes it back."""
    before = state(repo)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1", models_only=True)
    assert (repo.branch(), repo.head()) == ("main", before[0])
    assert repo.read("code.py") == b"VERSION = 3\n"
    assert repo.git("diff", "--name-only").split() == ["models/dir.dvc", "models/model.bin.dvc"]
    assert repo.git("diff", "model-v1", "--name-only") == "code.py"
    assert live(repo) == "v1"
    assert "up to date" in repo.dvc("status")
    mine.undo()
    assert state(repo) == before


def test_models_only_commit_is_one_commit_of_pointers(repo: Repo) -> None:
    """With `commit`, the pointers alone are committed, with the reason; what else is staged stays staged."""
    repo.write("other.txt", "staged")
    repo.git("add", "other.txt")
    done = modelctl.Repository(repo.path).rollback("v1", models_only=True, commit=True, reason="v3 is wrong")
    assert done.committed == repo.head()
    assert repo.git("log", "-1", "--format=%s%n%n%b") == "Roll back model to v1\n\nv3 is wrong"
    assert repo.git("show", "--format=", "--name-only").split() == ["models/dir.dvc", "models/model.bin.dvc"]
    assert repo.git("diff", "--cached", "--name-only") == "other.txt"


def test_options_that_exclude_each_other(repo: Repo) -> None:
    """`--all` with `--models-only`, and `--commit` without it, are usage errors."""
    refused(repo, Usage, "v1", everything=True, models_only=True)
    refused(repo, Usage, "v1", commit=True)


def test_git_branch_of_the_same_name_does_not_win(repo: Repo) -> None:
    """A branch that bears the tag's name is not what is switched to."""
    repo.git("branch", "model-v1", "model-v2")
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.head() == repo.git("rev-parse", "refs/tags/model-v1^{commit}")


def test_symlink_on_the_way_is_refused(repo: Repo, fresh: Callable[..., Repo]) -> None:
    """An out reached through a symlinked folder is refused: it could lead anywhere."""
    outside = repo.path.parent / "outside"
    (repo.path / "models").rename(outside)
    (repo.path / "models").symlink_to(outside)
    before = sorted(path.name for path in outside.rglob("*"))
    with pytest.raises((Integrity, Refused)):
        modelctl.Repository(repo.path).rollback("v1")
    assert sorted(path.name for path in outside.rglob("*")) == before


def test_disk_without_room_is_found_before_the_first_change(repo: Repo) -> None:
    """When the release needs more room than the disk has, both figures are said and nothing is touched."""
    pointer = repo.path / "models/model.bin.dvc"
    repo.git("checkout", "-q", "model-v1", "--", "models/model.bin.dvc")
    pointer.write_text(pointer.read_text().replace("size: 8000\n", f"size: {10**15}\n"))
    repo.commit("huge")
    repo.tag("model-v9")
    repo.git("checkout", "-q", "model-v3")
    repo.git("branch", "-f", "main", "model-v3")
    repo.git("switch", "-q", "main")
    assert "free and this needs" in refused(repo, Refused, "v9").message


def test_ignored_file_in_the_way_is_refused(repo: Repo) -> None:
    """A file that is ignored here and tracked at the release, such as local settings, is not overwritten."""
    repo.git("rm", "-q", "--cached", "code.py")
    repo.write(".gitignore", "/code.py\n")
    repo.commit("code.py is local now")
    repo.write("code.py", "mine, and ignored\n")
    assert "code.py" in refused(repo, Refused, "v1").message
