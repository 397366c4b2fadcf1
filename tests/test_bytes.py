"""Bytes without a switch: `fetch`, `verify`, `path`; and what the reading commands say of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import modelctl
from modelctl import NotFound, Usage
from tests.repos import Repo


def md5_of(repo: Repo, release: str, path: str = "models/model.bin") -> str:
    pointers = modelctl.Repository(repo.path).show(release).pointers
    return next(p.md5 for p in pointers if p.path == path)


def damage(path: Path) -> None:
    """Other bytes of the same size, read-only again, as a bad disk or a careless tool leaves them."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"x" * before.st_size)
    path.chmod(0o444)


def test_fetch_leaves_the_workspace_alone(repo: Repo) -> None:
    """Fetched releases are in the cache, the workspace is as it was, and a rollback then needs no remote."""
    repo.drop_cache()
    before = (repo.tree(), repo.head(), repo.git("status", "--porcelain"))
    done = modelctl.Repository(repo.path).fetch("v1", "v2")
    assert [(r.tag, r.error) for r in done.releases] == [("model-v1", ""), ("model-v2", "")]
    assert (repo.tree(), repo.head(), repo.git("status", "--porcelain")) == before
    (repo.path.parent / "remote").rename(repo.path.parent / "gone")
    assert modelctl.Repository(repo.path).rollback("v1").changed


def test_fetch_last_takes_the_newest(repo: Repo) -> None:
    """`--last 2` takes the two newest versions, and nothing of the older ones."""
    repo.drop_cache()
    mine = modelctl.Repository(repo.path)
    assert [r.tag for r in mine.fetch(last=2).releases] == ["model-v3", "model-v2"]
    assert [(r.tag, r.bytes) for r in mine.releases()] == [
        ("model-v3", "cached"), ("model-v2", "cached"), ("model-v1", "missing"),
    ]  # fmt: skip


def test_fetch_goes_on_past_what_cannot_be_had(repo: Repo) -> None:
    """A release whose object is nowhere is said, and the others come."""
    oid = md5_of(repo, "v2")
    (repo.path.parent / "remote/files/md5" / oid[:2] / oid[2:]).unlink()
    repo.drop_cache()
    done = modelctl.Repository(repo.path).fetch(last=3)
    assert not done.ok
    assert [bool(r.error) for r in done.releases] == [False, True, False]


def test_fetch_needs_to_know_what(repo: Repo) -> None:
    """Neither names nor `--last`, both, or a count below one are usage errors."""
    mine = modelctl.Repository(repo.path)
    for words, last in (((), None), (("v1",), 2), ((), 0)):
        with pytest.raises(Usage):
            mine.fetch(*words, last=last)


def test_verify_finds_what_is_wrong_in_the_cache(repo: Repo) -> None:
    """Hashing everything again finds an object with other bytes and one that is not there."""
    damage(repo.object(md5_of(repo, "v1")))
    repo.object(md5_of(repo, "v2")).unlink()
    found = {r.tag: r for r in modelctl.Repository(repo.path).verify().releases}
    assert found["model-v1"].verdict == "corrupt"
    assert found["model-v1"].corrupt == ("models/model.bin",)
    assert found["model-v2"].verdict == "incomplete"
    assert found["model-v2"].missing == ("models/model.bin",)
    assert found["model-v3"].verdict == "ok"


def test_verify_believes_nothing_that_was_known(repo: Repo) -> None:
    """Bytes that changed though size and times did not are found by `verify`."""
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1")
    mine.undo()
    path = repo.object(md5_of(repo, "v1"))
    times = path.stat()
    damage(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert mine.verify("v1").releases[0].verdict == "corrupt"


def test_verify_reads_the_remote(repo: Repo) -> None:
    """With `remote`, what is hashed is what the remote has."""
    oid = md5_of(repo, "v1")
    damage(repo.path.parent / "remote/files/md5" / oid[:2] / oid[2:])
    mine = modelctl.Repository(repo.path)
    assert mine.verify("v1", remote=True).releases[0].verdict == "corrupt"
    assert mine.verify("v1").releases[0].verdict == "ok"
    assert mine.verify("v3", remote=True).releases[0].verdict == "ok"


def test_remote_state_is_listed_on_demand(repo: Repo) -> None:
    """`releases(remote=True)` says which releases the remote has whole; without it the remote is not asked."""
    oid = md5_of(repo, "v1")
    (repo.path.parent / "remote/files/md5" / oid[:2] / oid[2:]).unlink()
    mine = modelctl.Repository(repo.path)
    assert {r.tag: r.remote for r in mine.releases(remote=True)} == {
        "model-v1": "partly", "model-v2": "complete", "model-v3": "complete",
    }  # fmt: skip
    assert {r.remote for r in mine.releases()} == {None}


def test_path_is_a_read_only_copy(repo: Repo) -> None:
    """The path of a release holds its bytes under their own names, and shares nothing with the cache."""
    mine = modelctl.Repository(repo.path)
    folder = mine.path("v1")
    assert (folder / "model.bin").read_bytes() == b"model 1\n" * 1000
    assert (folder / "dir/deep/c").read_bytes() == b"deep/c 1\n"
    assert not (folder / "model.bin").stat().st_mode & 0o222
    assert (folder / "model.bin").stat().st_ino != repo.object(md5_of(repo, "v1")).stat().st_ino
    assert mine.path("v1") == folder
    assert mine.path("v2") != folder
    assert (mine.path("v2") / "model.bin").read_bytes() == b"model 2\n" * 1000
    repo.assert_clean()


def test_path_fetches_what_is_not_here(repo: Repo) -> None:
    """A release that is not cached is fetched for its path."""
    repo.drop_cache()
    assert (modelctl.Repository(repo.path).path("v2") / "model.bin").read_bytes() == b"model 2\n" * 1000


def test_path_of_an_unknown_model(repo: Repo) -> None:
    """A model that the release does not have is said."""
    with pytest.raises(NotFound, match="no model churn"):
        modelctl.Repository(repo.path).path("v1", "churn")


def test_status_names_what_differs(repo: Repo) -> None:
    """Changed, missing and extra files of the model are named, and the release that they differ from."""
    repo.write("models/dir/extra", "x")
    (repo.path / "models/dir/a").unlink()
    (repo.path / "models/model.bin").chmod(0o644)
    repo.write("models/model.bin", "other")
    (model,) = modelctl.Repository(repo.path).status().models
    assert (model.release, model.exact) == ("v3", False)
    assert (model.changed, model.missing, model.extra) == (
        ("models/model.bin",), ("models/dir/a",), ("models/dir/extra",),
    )  # fmt: skip


def test_status_knows_the_release_though_head_is_elsewhere(repo: Repo) -> None:
    """What is live is told by pointers and bytes, not by HEAD."""
    repo.write("readme", "later")
    repo.commit("later")
    (model,) = modelctl.Repository(repo.path).status().models
    assert (model.release, model.exact) == ("v3", True)


def test_bytes_of_another_release_than_the_pointer(repo: Repo) -> None:
    """After a plain `git checkout` without DVC the model is said to differ, and a rollback puts it right."""
    repo.git("checkout", "-q", "model-v2")
    (model,) = modelctl.Repository(repo.path).status().models
    assert (model.release, model.exact) == ("v2", False)
    assert modelctl.Repository(repo.path).rollback("v2").changed
    repo.assert_clean()


def test_diff_counts_the_files_of_a_directory(repo: Repo) -> None:
    """Files added, removed and changed inside a directory are told, unchanged ones are not."""
    repo.write("models/dir/new", "new")
    (repo.path / "models/dir/b").unlink()
    repo.dvc("add", "-q", "models/dir")
    repo.commit("Model 4")
    repo.tag("model-v4")
    found = modelctl.Repository(repo.path).diff("v3", "v4")
    change = next(row for row in found.models if row.path == "models/dir")
    assert change.files is not None
    assert (change.files.added, change.files.removed, change.files.changed) == (("new",), ("b",), ())
    assert next(row for row in found.models if row.path == "models/model.bin").kind == "unchanged"


def test_init_makes_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    """`init` makes Git, DVC, settings and folders; again it changes nothing, and never overwrites."""
    (tmp_path / ".gitignore").write_text("mine\n")
    mine, made = modelctl.Repository.init(tmp_path)
    assert set(made.made) == {"Git repository", "DVC repository", "modelctl.toml", "models/"}
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    before = sorted(path.name for path in tmp_path.rglob("*"))
    again = modelctl.Repository.init(tmp_path)[1]
    assert again.made == ()
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert mine.releases() == ()


def test_first_release_of_a_new_repository(tmp_path: Path) -> None:
    """From an empty folder to a release and back to it: init, add, commit, release, rollback."""
    from tests.repos import Repo as Clone

    repo = Clone(tmp_path / "new")
    modelctl.Repository.init(repo.path)
    repo.dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    for number in (1, 2):
        repo.write("models/m.bin", f"model {number}")
        repo.dvc("add", "-q", "models/m.bin")
        repo.commit(f"Model {number}")
        modelctl.Repository(repo.path).release(f"v{number}")
    mine = modelctl.Repository(repo.path)
    assert [r.live for r in mine.releases()] == ["yes", ""]
    assert mine.rollback().target == "v1"
    assert repo.read("models/m.bin") == b"model 1"
