"""Clones as people and CI have them: shallow, without tags, bare, in worktrees, in the middle of something."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import modelctl
from modelctl import NotFound, Refused
from tests.handmade import assert_settled, picture, refused, release, row, there_and_back, track
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]


def pushed(repo: Repo) -> None:
    repo.write("code.py", "start\n")
    repo.commit("Start")
    for number in (1, 2, 3):
        repo.write("code.py", f"{number}\n")
        release(repo, f"model-v{number}", f"model {number}\n".encode(), day=number)
    repo.write("code.py", "later\n")
    repo.commit("Later", 4)
    repo.git("push", "-q", "origin", "main", "--tags")
    repo.git("config", "uploadpack.allowFilter", "true")
    Repo(repo.path.parent / "git.git").git("config", "uploadpack.allowFilter", "true")


@pytest.fixture
def origin(fresh: Fresh) -> Repo:
    return fresh("pushed", pushed)


def settle(repo: Repo) -> Repo:
    """Bring the bytes of HEAD into a fresh clone."""
    repo.dvc("pull", "-q")
    return repo


def test_shallow_clone_without_tags(origin: Repo) -> None:
    """In a clone of depth 1 a release is not simply unknown: the tags are missing, and the hint brings them."""
    ci = settle(origin.clone("ci", "--depth", "1"))
    mine = modelctl.Repository(ci.path)
    assert mine.releases() == ()
    error = refused(ci, NotFound, "v1")
    assert error.message == "no release v1: this clone has no tags"
    assert "git fetch --tags" in error.hint
    ci.git(*error.hint.split()[1:])
    there_and_back(ci, "v1")


def test_shallow_clone_with_one_tag_fetched(origin: Repo) -> None:
    """Fetching exactly the tag that is wanted, at depth 1, is all that a rollback needs."""
    ci = settle(origin.clone("ci", "--depth", "1"))
    ci.git("fetch", "-q", "--depth", "1", "origin", "tag", "model-v1")
    assert [row.version for row in modelctl.Repository(ci.path).releases()] == ["v1"]
    there_and_back(ci, "v1")


def test_shallow_clone_with_other_tags(origin: Repo) -> None:
    """A shallow clone that has some tags does not claim that there are no others."""
    ci = settle(origin.clone("ci", "--depth", "1"))
    ci.git("fetch", "-q", "--depth", "1", "origin", "tag", "model-v2")
    for call in (lambda mine: mine.rollback("v1"), lambda mine: mine.show("v1"), lambda mine: mine.diff("v1")):
        with pytest.raises(NotFound) as caught:
            call(modelctl.Repository(ci.path))
        assert caught.value.message == "model has no release v1 in this shallow clone"
        assert caught.value.hint == "git fetch --tags origin   # nearest are v2"
    modelctl.Repository(ci.path).rollback("v2")
    assert refused(ci, NotFound, None).hint == "git fetch --tags origin   # this clone is shallow"


def test_clone_without_tags(origin: Repo) -> None:
    """A full clone without tags says so too."""
    clone = settle(origin.clone("tagless", "--no-tags"))
    assert modelctl.Repository(clone.path).releases() == ()
    (model,) = modelctl.Repository(clone.path).status().models
    assert (model.release, model.exact) == (None, True)
    error = refused(clone, NotFound, "v2")
    assert error.message == "no release v2: this clone has no tags"
    clone.git(*error.hint.split()[1:])
    there_and_back(clone, "v2")


def test_partial_clone(origin: Repo) -> None:
    """In a clone without blobs Git brings what the release needs, and the rollback is whole."""
    partial = settle(origin.clone("partial", "--filter=blob:none"))
    assert len(modelctl.Repository(partial.path).releases()) == 3
    there_and_back(partial, "v1")


def test_fresh_clone_without_any_bytes(origin: Repo) -> None:
    """A clone that has never seen a model's bytes lists them as missing and rolls back by fetching them."""
    clone = origin.clone("cold")
    mine = modelctl.Repository(clone.path)
    assert {row.bytes for row in mine.releases()} == {"missing"}
    (model,) = mine.status().models
    assert (model.exact, model.missing) == (False, ("models/model.bin",))
    assert mine.rollback("v1").fetched_objects == 1
    assert_settled(clone)


def test_bare_repository(origin: Repo) -> None:
    """A bare repository lists, shows and compares its releases; what needs a workspace says how to get one."""
    bare = modelctl.Repository(origin.path.parent / "git.git")
    assert [row.version for row in bare.releases()] == ["v3", "v2", "v1"]
    assert bare.show("v1").pointers[0].path == "models/model.bin"
    assert [c.kind for c in bare.diff("v1", "v2").models] == ["changed"]
    for call in (bare.status, bare.rollback, lambda: bare.rollback("v1"), bare.undo, lambda: bare.diff("v1")):
        with pytest.raises(Refused, match="a bare repository has no workspace") as caught:
            call()
        assert caught.value.hint.startswith("git worktree add")
    assert bare.history() == ()


def test_detached_head(origin: Repo) -> None:
    """From a detached HEAD a rollback works, and undo returns to that very commit, detached."""
    origin.git("checkout", "-q", "--detach", "main~1")
    there_and_back(origin, "v1")
    assert origin.branch() == ""
    assert modelctl.Repository(origin.path).status().branch is None


def test_worktree(origin: Repo) -> None:
    """A second worktree is a place of its own: switched, recorded and undone without touching the first."""
    origin.git("worktree", "add", "-q", "-b", "serving", "../serving", "main")
    second = Repo(origin.path.parent / "serving")
    settle(second)
    before = picture(origin)
    done = there_and_back(second, "v1")
    assert done.fetched_objects == 1
    modelctl.Repository(second.path).rollback("v2")
    assert picture(origin) == before
    assert modelctl.Repository(origin.path).history() == ()
    assert len(modelctl.Repository(second.path).history()) == 3
    there_and_back(origin, "v1")
    assert modelctl.Repository(second.path).status().models[0].release == "v2"


def test_branch_checked_out_in_another_worktree(origin: Repo) -> None:
    """A rollback is to a commit, so a branch that another worktree has checked out is no obstacle."""
    origin.git("worktree", "add", "-q", "-b", "elsewhere", "../elsewhere", "model-v1")
    there_and_back(origin, "v1")


def submodule(repo: Repo) -> None:
    """A release of each state of a submodule, which is a Git + DVC repository with releases of its own."""
    library = repo.path.parent / "library"
    library.mkdir()
    inner = Repo(library)
    inner.git("init", "-q")
    inner.dvc("init", "-q")
    inner.write(".dvc/config", "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../remote\n")
    release(inner, "model-v1", b"inner 1\n", day=1)
    inner.git("push", "-q", "--tags", (repo.path.parent / "git.git").as_uri(), "main:library")
    repo.git("submodule", "--quiet", "add", "-b", "main", "../library", "lib")
    release(repo, "model-v10", b"outer 1\n", day=1)
    release(inner, "model-v2", b"inner 2\n", day=2)
    repo.git("-C", "lib", "pull", "-q", "--tags", "origin", "main")
    release(repo, "model-v11", b"outer 2\n", day=2)


def test_submodule_is_left_and_named(fresh: Fresh) -> None:
    """A submodule is not switched: the result names it with what to type, and undo is not in its own way."""
    repo = fresh("submodule", submodule)
    repo.git("-C", "lib", "remote", "set-url", "origin", str(repo.path.parent / "library"))
    mine = modelctl.Repository(repo.path)
    done = mine.rollback("v10")
    assert done.notes == ("submodule lib is not switched: git submodule update lib",)
    assert repo.read("models/model.bin") == b"outer 1\n"
    assert repo.git("status", "--porcelain") == "M lib"
    mine.undo()
    assert repo.git("status", "--porcelain") == ""
    mine.rollback("v10")
    repo.git("submodule", "--quiet", "update", "lib")
    assert repo.git("status", "--porcelain") == ""
    mine.undo()
    assert repo.git("status", "--porcelain") == "M lib"


def test_release_from_before_the_submodule(fresh: Fresh) -> None:
    """A release from before the submodule was added leaves its folder where it is, and undo finds it again."""
    repo = fresh("submodule", submodule)
    release(repo, "model-v12", b"outer 3\n", day=3)
    repo.git("rm", "-q", "lib")
    repo.git("rm", "-q", "-f", ".gitmodules")
    release(repo, "model-v13", b"outer 4\n", day=4)
    mine = modelctl.Repository(repo.path)
    assert mine.rollback("v12").notes == ("submodule lib is not switched: git submodule update lib",)
    repo.git("config", "submodule.lib.active", "true")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "lib")
    assert_settled(repo)
    mine.undo()
    assert repo.read("models/model.bin") == b"outer 4\n"
    assert repo.git("status", "--porcelain") == "?? lib/"
    there_again = mine.rollback("v12")
    assert there_again.changed
    assert_settled(repo)


def test_repository_that_is_a_submodule(fresh: Fresh) -> None:
    """Inside a submodule modelctl works on that repository, whose Git folder lies in the outer one's."""
    repo = fresh("submodule", submodule)
    inner = Repo(repo.path / "lib")
    assert (inner.path / ".git").is_file()
    (inner.path / ".dvc/config.local").write_text(f"['remote \"store\"']\n    url = {repo.path.parent / 'remote'}\n")
    settle(inner)
    assert [row.version for row in modelctl.Repository(inner.path).releases()] == ["v2", "v1"]
    there_and_back(inner, "v1")


def test_models_of_a_submodule_are_not_the_outer_ones(fresh: Fresh) -> None:
    """The pointers inside a submodule are no part of the outer repository's releases."""
    repo = fresh("submodule", submodule)
    assert [p.path for p in modelctl.Repository(repo.path).show("v10").pointers] == ["models/model.bin"]


def dvc_roots(repo: Repo, *folders: str) -> None:
    for folder in folders:
        (repo.path / folder).mkdir(parents=True, exist_ok=True)
        Repo(repo.path / folder).dvc("init", "-q", "--subdir")
        url = "../" * (folder.count("/") + 3) + "remote"
        repo.write(f"{folder}/.dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {url}\n")


def two_roots(repo: Repo) -> None:
    """Two DVC roots and none at the top."""
    repo.git("rm", "-q", "-r", "-f", ".dvc", ".dvcignore")
    shutil.rmtree(repo.path / ".dvc")
    dvc_roots(repo, "north", "deep/south")
    for number in (1, 2):
        for root in ("north", "deep/south"):
            track(repo, f"{root}/models/m.bin", f"{root} {number}\n".encode(), root=root)
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)


def test_two_dvc_roots_and_none_at_the_top(fresh: Fresh) -> None:
    """A release without a project's name is about the models of both DVC roots, wherever it is asked for."""
    repo = fresh("two-roots", two_roots)
    mine = modelctl.Repository(repo.path)
    assert {m.model for m in mine.status().models} == {"north/model", "deep/south/model"}
    assert {p.path for p in mine.show("v1").pointers} == {"north/models/m.bin", "deep/south/models/m.bin"}
    for start in ("", "north", "deep/south/models"):
        before = picture(repo)
        modelctl.Repository(repo.path / start).rollback("v1")
        assert repo.read("north/models/m.bin") == b"north 1\n"
        assert_settled(repo, root="north")
        assert_settled(repo, root="deep/south")
        modelctl.Repository(repo.path / start).undo()
        assert picture(repo) == before


def test_cold_caches_of_two_dvc_roots(fresh: Fresh) -> None:
    """Each DVC root has a cache and a remote of its own."""
    repo = fresh("two-roots", two_roots)
    for root in ("north", "deep/south"):
        shutil.rmtree(repo.path / root / ".dvc/cache")
    assert row(repo, "model-v1").bytes == "missing"
    assert modelctl.Repository(repo.path).rollback("v1").fetched_objects == 2
    assert_settled(repo, root="deep/south")


def nested_roots(repo: Repo) -> None:
    """A DVC root inside another."""
    dvc_roots(repo, "inner")
    for number in (1, 2):
        for root in ("", "inner"):
            track(repo, f"{root}/models/m.bin".lstrip("/"), f"{root} {number}\n".encode(), root=root)
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)


def test_nested_dvc_roots(fresh: Fresh) -> None:
    """A DVC root inside another, which plain `dvc pull` silently leaves behind, is rolled back with it."""
    repo = fresh("nested-roots", nested_roots)
    mine = modelctl.Repository(repo.path)
    assert {m.model for m in mine.status().models} == {"model", "inner/model"}
    before = picture(repo)
    mine.rollback("v1")
    assert repo.read("inner/models/m.bin") == b"inner 1\n"
    assert_settled(repo)
    assert_settled(repo, root="inner")
    mine.undo()
    assert picture(repo) == before


OPERATIONS = {
    "merge": ["merge", "--no-ff", "--no-commit", "side"],
    "cherry-pick": ["cherry-pick", "conflict"],
    "revert": ["revert", "--no-commit", "main~1"],
    "rebase": ["rebase", "conflict"],
    "bisect": ["bisect", "start"],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_in_progress(origin: Repo, name: str) -> None:
    """In the middle of a merge, cherry-pick, revert, rebase or bisect a switch is refused with the way out of it."""
    origin.git("checkout", "-q", "-b", "side", "main~1")
    origin.write("other.py", "side\n")
    origin.commit("Side", 5)
    origin.git("checkout", "-q", "-b", "conflict", "main~1")
    origin.write("code.py", "conflict\n")
    origin.commit("Conflict", 5)
    origin.git("checkout", "-q", "main")
    subprocess.run(["git", *OPERATIONS[name]], cwd=origin.path, capture_output=True, check=False)
    error = refused(origin, Refused, "v1")
    assert name in error.message
    assert error.message.endswith("is in progress")
    modelctl.Repository(origin.path).status()
    subprocess.run(error.hint, shell=True, cwd=origin.path, capture_output=True, check=True)
    there_and_back(origin, "v1")


def test_no_commit_yet(tmp_path: Path) -> None:
    """In a repository without a commit the list is empty, and all else says what is missing."""
    repo = Repo(tmp_path)
    repo.git("init", "-q")
    repo.dvc("init", "-q")
    mine = modelctl.Repository(tmp_path)
    assert mine.releases() == ()
    assert mine.history() == ()
    for call in (mine.status, mine.rollback, mine.undo, lambda: mine.rollback("v1")):
        with pytest.raises(NotFound) as caught:
            call()
        assert "no commit yet" in caught.value.message or "no tags" in caught.value.message
        assert caught.value.hint


def test_git_repository_without_dvc(tmp_path: Path) -> None:
    """In a Git repository that knows nothing of DVC status is empty and a rollback says that no model is here."""
    repo = Repo(tmp_path)
    repo.git("init", "-q")
    repo.write("README", "text\n")
    repo.commit("Start")
    repo.tag("model-v1")
    mine = modelctl.Repository(tmp_path)
    assert mine.status().models == ()
    assert row(repo, "model-v1").why == "model-v1 has no model: DVC tracks nothing at that commit"
    assert "DVC tracks nothing" in refused(repo, NotFound, "v1").message
    assert refused(repo, NotFound, None).message == "no model is live here"


def test_folder_that_is_no_repository(tmp_path: Path) -> None:
    """A folder outside Git, one that does not exist, a file, and the inside of `.git` each say what they are."""
    with pytest.raises(NotFound, match="is in no Git repository") as caught:
        modelctl.Repository(tmp_path)
    assert "modelctl init" in caught.value.hint
    with pytest.raises(NotFound, match="no such folder"):
        modelctl.Repository(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(NotFound, match="no such folder"):
        modelctl.Repository(tmp_path / "file")
    Repo(tmp_path).git("init", "-q")
    with pytest.raises(Refused, match=r"inside a \.git folder"):
        modelctl.Repository(tmp_path / ".git")


def test_subfolder_of_the_clone(origin: Repo) -> None:
    """From any folder of the clone, one that the release does not have included, a switch is of the whole clone."""
    origin.write("new/folder/x", "x\n")
    origin.commit("New folder", 6)
    mine = modelctl.Repository(origin.path / "models")
    mine.rollback("v1")
    assert_settled(origin)
    mine.undo()
    modelctl.Repository(origin.path / "new/folder").rollback("v1")
    assert_settled(origin)
    assert not (origin.path / "new").exists()


def test_worktrees_share_the_exclude_file(fresh: Fresh) -> None:
    """Outs that no `.gitignore` names stay out of `git status` in each worktree, whichever switched last."""
    repo = fresh("nothing", lambda new: None)
    for number in (1, 2, 3):
        track(repo, f"models/m{number}.bin", b"x\n", ignored=False)
        repo.write(".git/info/exclude", "*.bin\n")
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)
    repo.write(".gitignore", "*.bin\n")
    repo.commit("Ignored", 4)
    repo.write(".git/info/exclude", "# mine\n")
    repo.git("worktree", "add", "-q", "-b", "other", "../other", "main")
    other = Repo(repo.path.parent / "other")
    settle(other)
    modelctl.Repository(repo.path).rollback("v2")
    modelctl.Repository(other.path).rollback("v1")
    assert_settled(repo)
    assert_settled(other)
    modelctl.Repository(repo.path).undo()
    assert_settled(other)
    modelctl.Repository(other.path).undo()
    assert repo.read(".git/info/exclude") == b"# mine\n"
