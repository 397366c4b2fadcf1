"""Killed at any instant, the next command leaves exactly the old or exactly the new state."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import modelctl
from tests.repos import Repo

READS = {
    "git.rev-parse", "git.symbolic-ref", "git.for-each-ref", "git.status", "git.diff-tree", "git.var", "git.ls-files",
    "git.hash-object", "git.cat-file",
}  # fmt: skip
MODES: dict[str, tuple[str, ...]] = {
    "checkout": ("rollback", "v1", "--reason", "killed"),
    "models-only": ("rollback", "v1", "--models-only"),
    "commit": ("rollback", "v1", "--models-only", "--commit"),
    "undo": ("rollback", "--undo"),
}


def prepare(repo: Repo, mode: str) -> None:
    """Bring the clone to where the command of `mode` starts, with files of the user's beside it."""
    repo.write("notes.txt", "untracked, the user's")
    repo.write("staged.txt", "staged, the user's")
    repo.git("add", "staged.txt")
    if mode == "undo":
        modelctl.Repository(repo.path).rollback("v2")


def points_of(repo: Repo, mode: str, tmp_path: Path) -> list[str]:
    """The fault points that a whole run of the command passes, in order."""
    trace = tmp_path / "trace"
    done = repo.modelctl(*MODES[mode], env={"MODELCTL_FAULT": "none:none", "MODELCTL_FAULT_TRACE": str(trace)})
    assert done.code == 0, done.err
    return [line for line in trace.read_text().split() if line.split(":")[0] not in READS]


def snapshot(repo: Repo) -> tuple[object, ...]:
    """What must be exactly old or exactly new: HEAD, index, files, and which release is live."""
    status = modelctl.Repository(repo.path).status()
    return (
        repo.git("log", "-1", "--format=%T"),
        repo.branch(),
        repo.git("status", "--porcelain"),
        repo.tree(),
        [(model.release, model.exact) for model in status.models],
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_killed_anywhere(repo: Repo, mode: str, tmp_path: Path) -> None:
    """SIGKILL before and after each durable step: then old or new exactly, nothing left over, nothing lost."""
    import shutil

    prepare(repo, mode)
    start = tmp_path / "start"
    shutil.copytree(repo.path.parent, start, symlinks=True)
    old = snapshot(repo)
    points = points_of(repo, mode, tmp_path)
    new = snapshot(repo)
    assert old != new
    ended = {"old": 0, "new": 0}
    for number, point in enumerate(points):
        place = tmp_path / f"run{number}"
        shutil.copytree(start, place, symlinks=True)
        killed = Repo(place / "work")
        cached = killed.cached()
        done = killed.modelctl(*MODES[mode], env={"MODELCTL_FAULT": f"{point}:KILL"})
        assert done.code == -9, f"{point}: {done}"
        resolved = killed.modelctl("status", "--json")
        assert resolved.code == 0, f"{point}: {resolved.err}"
        after = snapshot(killed)
        assert after in (old, new), f"{point}: neither old nor new"
        ended["old" if after == old else "new"] += 1
        assert cached.items() <= killed.cached().items(), f"{point}: a cached object is gone"
        leftovers = {path.name for path in (killed.path / ".git/modelctl").iterdir()}
        assert leftovers <= {
            "history.jsonl",
            "known.sqlite",
            "known.sqlite-wal",
            "known.sqlite-shm",
            "lock",
            "tags.json",
        }
        assert not (killed.path / ".git/index.lock").exists(), point
        again = snapshot(killed)
        assert killed.modelctl("recover").code == 0
        assert snapshot(killed) == again, f"{point}: a second recovery changed something"
        if number % 10 == 0:
            assert "up to date" in killed.dvc("status"), point
        shutil.rmtree(place)
    print(f"\n{mode}: killed at {len(points)} points, {ended['old']} old, {ended['new']} new")
    assert ended["old"] > 5
    assert ended["new"] > 1


@pytest.mark.parametrize(
    "point", ["files.exchange:before:1", "files.exchange:after:1", "git.tree:after:1", "git.head:after:1"]
)
def test_killed_recovery_recovers(repo: Repo, point: str) -> None:
    """A recovery that is killed itself is recovered by the next command."""
    old = snapshot(repo)
    assert repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": "git.head:after:1:KILL"}).code == -9
    repo.modelctl("recover", env={"MODELCTL_FAULT": f"{point}:KILL"})
    assert snapshot(repo) == old
    repo.assert_clean()


@pytest.mark.parametrize("action", ["ENOSPC", "EIO", "INT", "TERM"])
@pytest.mark.parametrize(
    "point",
    [
        "files.link:before:1",
        "journal.switching:before:1",
        "files.exchange:before:2",
        "git.tree:after:1",
        "git.head:after:1",
    ],
)
def test_failure_in_the_middle_takes_itself_back(repo: Repo, point: str, action: str) -> None:
    """A full disk, an I/O error, Ctrl-C or SIGTERM in the middle leaves the old state and says so."""
    old = snapshot(repo)
    done = repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": f"{point}:{action}"})
    assert done.code in ({130} if action in {"INT", "TERM"} else {1}), done
    assert "Traceback" not in done.err
    assert snapshot(repo) == old
    repo.assert_clean()


def test_without_an_atomic_exchange(repo: Repo) -> None:
    """Where the system cannot exchange two names, two renames do, and a kill between them is recovered."""
    old = snapshot(repo)
    env = {"MODELCTL_NO_EXCHANGE": "1", "MODELCTL_FAULT": "files.exchange-half:before:1:KILL"}
    assert repo.modelctl("rollback", "v1", env=env).code == -9
    assert not (repo.path / "models/dir").exists() or not (repo.path / "models/model.bin").exists()
    assert snapshot(repo) == old
    assert repo.modelctl("rollback", "v1", env={"MODELCTL_NO_EXCHANGE": "1"}).code == 0
    repo.assert_clean()


def test_files_changed_after_the_crash_are_kept(repo: Repo) -> None:
    """What a user writes into a half-switched tracked file before recovery is kept and named."""
    assert repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": "git.head:before:1:KILL"}).code == -9
    repo.write("code.py", "written by the user meanwhile\n")
    done = repo.modelctl("recover", "--json")
    (kept,) = done.result["kept"]
    assert Path(kept).read_text() == "written by the user meanwhile\n"
    assert repo.git("status", "--porcelain") == ""


def test_history_has_what_was_interrupted(repo: Repo) -> None:
    """An interrupted switch is in the history with how it was resolved."""
    repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": "git.tree:after:1:KILL"})
    (entry,) = modelctl.Repository(repo.path).history()
    assert entry.outcome == "undone"
    repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": "journal.switched:after:1:KILL"})
    finished, _ = modelctl.Repository(repo.path).history()
    assert finished.outcome == "recovered"
    assert os.environ.get("MODELCTL_FAULT") is None
