"""What stands in the way of a switch: refused by name before anything changes, or taken back whole."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import modelctl
from modelctl import RecoveryNeeded, Refused
from tests.repos import Repo, make_repo


def release(repo: Repo, number: int) -> None:
    repo.commit(f"Model {number}", number)
    repo.tag(f"model-v{number}")


@pytest.fixture
def small(tmp_path: Path) -> Repo:
    """Two releases of a small model, beside code that differs, and a folder that only the first one has."""
    repo = make_repo(tmp_path)
    for number in (1, 2):
        repo.write("models/m", f"bytes of v{number}\n")
        repo.write("code.py", f"print({number})\n")
        if number == 1:
            repo.write("conf/deep/a", "a\n")
        else:
            repo.git("rm", "-rq", "conf")
            repo.write(".gitignore", "conf\n")
        repo.dvc("add", "-q", "models/m")
        release(repo, number)
    return repo


def everything(repo: Repo) -> tuple[object, ...]:
    return (repo.head(), repo.branch(), repo.tree(), repo.git("status", "--porcelain"), repo.git("ls-files", "-v"))


def refused(repo: Repo, word: str) -> modelctl.ModelctlError:
    before = everything(repo)
    with pytest.raises(Refused) as caught:
        modelctl.Repository(repo.path).rollback(word)
    assert everything(repo) == before
    return caught.value


@pytest.mark.parametrize("mark", ["skip-worktree", "assume-unchanged"])
def test_file_that_git_was_told_not_to_look_at(small: Repo, mark: str) -> None:
    """A local edit hidden by skip-worktree or assume-unchanged is seen, named and kept, and so is the mark."""
    small.write("code.py", "MY LOCAL EDIT\n")
    small.git("update-index", f"--{mark}", "code.py")
    said = refused(small, "v1")
    assert "code.py" in said.message
    assert small.read("code.py") == b"MY LOCAL EDIT\n"
    subprocess.run(said.hint, shell=True, cwd=small.path, check=True)
    assert "code.py" in small.git("status", "--porcelain")


@pytest.mark.parametrize("name", ["conf", "conf/deep"])
@pytest.mark.parametrize("link", [False, True], ids=["file", "symlink"])
def test_ignored_file_where_the_release_has_a_folder(small: Repo, name: str, *, link: bool) -> None:
    """An ignored file or symlink where the release has a folder is named and kept."""
    path = small.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/nowhere") if link else path.write_text("my secrets\n")
    said = refused(small, "v1")
    assert f"{name} is in the way" in said.message
    assert os.path.lexists(path)


def test_ignored_folder_where_the_release_has_a_file(small: Repo) -> None:
    """Ignored files in a folder that is a tracked file at the release are named and kept."""
    small.git("rm", "-q", "code.py")
    small.write(".gitignore", "conf\ncode.py\n")
    small.commit("no code")
    small.write("code.py/mine", "my secrets\n")
    assert "code.py/mine" in refused(small, "v1").message


def test_hints_can_be_pasted_whatever_the_name(tmp_path: Path) -> None:
    """A name that a shell would take apart, or run, is quoted in the hint."""
    repo = make_repo(tmp_path)
    name = "models/m;touch PWNED;x $HOME"
    for number in (1, 2):
        repo.write(name, f"bytes of v{number}\n")
        repo.dvc("add", "-q", name)
        release(repo, number)
    repo.write(name, "mine")
    said = refused(repo, "v1")
    subprocess.run(said.hint, shell=True, cwd=repo.path, check=True)
    assert not (repo.path / "PWNED").exists()
    assert repo.read(f"{name}.mine") == b"mine"
    assert shlex.split(said.hint, comments=True)[:2] == ["mv", name]


def test_out_that_git_tracked_before_and_back(tmp_path: Path) -> None:
    """A path goes from an out to a file in Git and back, both ways, and undo ends where it began."""
    repo = make_repo(tmp_path)
    repo.write("models/m", "an out\n")
    repo.dvc("add", "-q", "models/m")
    release(repo, 1)
    repo.git("rm", "-q", "models/m.dvc", "models/.gitignore")
    repo.write("models/m", "in Git\n")
    repo.write("models/o", "an out\n")
    repo.dvc("add", "-q", "models/o")
    release(repo, 2)
    before = everything(repo)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1")
    assert repo.read("models/m") == b"an out\n"
    repo.assert_clean()
    mine.deploy("v2")
    assert repo.read("models/m") == b"in Git\n"
    repo.assert_clean()
    mine.undo()
    mine.undo()
    assert everything(repo) == before


def test_out_where_git_tracked_a_folder(tmp_path: Path) -> None:
    """A folder of tracked files becomes one out of that name, and comes back."""
    repo = make_repo(tmp_path)
    repo.write("models/m/inner", "in Git\n")
    repo.write("models/other", "an out\n")
    repo.dvc("add", "-q", "models/other")
    release(repo, 1)
    repo.git("rm", "-rq", "models/m")
    repo.write("models/m", "an out\n")
    repo.dvc("add", "-q", "models/m")
    release(repo, 2)
    before = everything(repo)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v1")
    assert repo.read("models/m/inner") == b"in Git\n"
    repo.assert_clean()
    mine.undo()
    assert everything(repo) == before


@pytest.mark.parametrize("content", [b"garbage", b"", b"{}", b'[{"md5": "' + b"0" * 32 + b'", "relpath": "../x"}]'])
def test_corrupt_manifest_is_set_aside_and_fetched_again(repo: Repo, content: bytes) -> None:
    """A cached directory manifest with other content is never read as one: it is set aside and fetched again."""
    oid = next(p.md5 for p in modelctl.Repository(repo.path).show("v1").pointers if p.directory)
    path = repo.object(oid)
    path.chmod(0o644)
    path.write_bytes(content)
    done = modelctl.Repository(repo.path).rollback("v1")
    assert len(done.set_aside) == 1
    assert repo.read("models/dir/deep/c") == b"deep/c 1\n"
    repo.assert_clean()


def failing_filter(repo: Repo) -> None:
    """A required filter that fails, as where git-lfs is not installed."""
    repo.git("config", "filter.broken.clean", "cat")
    repo.git("config", "filter.broken.smudge", "false")
    repo.git("config", "filter.broken.required", "true")
    (repo.path / ".git/info/attributes").write_text("code.py filter=broken\n")


def test_model_is_back_when_git_cannot_take_its_part_back(small: Repo) -> None:
    """When Git fails both ways the model is put back all the same, and it is said what is left to do."""
    failing_filter(small)
    with pytest.raises(RecoveryNeeded, match="the model is back"):
        modelctl.Repository(small.path).rollback("v1")
    assert small.read("models/m") == b"bytes of v2\n"
    assert small.git("describe", "--tags") == "model-v2"
    assert modelctl.Repository(small.path).status().unfinished == "rollback to model-v1"
    (small.path / ".git/info/attributes").unlink()
    assert modelctl.Repository(small.path).status().unfinished is None
    assert small.read("code.py") == b"print(2)\n"
    small.assert_clean()


def test_reading_goes_on_while_a_switch_cannot_be_resolved(small: Repo) -> None:
    """`list`, `status` and `history` still answer, and say that a switch is not resolved."""
    failing_filter(small)
    assert small.modelctl("rollback", "v1").code == 3
    for command in ("list", "status", "history"):
        done = small.modelctl(command)
        assert done.code == 0
        assert "cannot be resolved yet" in done.err
    assert small.modelctl("rollback", "v1").code == 3


def fake_git(folder: Path, text: str) -> dict[str, str]:
    """A `git` that leaves a HEAD.lock and is killed with its whole group when it is to move HEAD."""
    folder.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    script = folder / "git"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *update-ref*|*symbolic-ref?-m*)\n'
        f"  printf '%s' '{text}' > .git/HEAD.lock; kill -9 $PPID $$;;\nesac\nexec {real} \"$@\"\n"
    )
    script.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_lock_that_a_killed_git_left_on_head(small: Repo, tmp_path: Path) -> None:
    """A `HEAD.lock` that Git left when both were killed while HEAD moved is known as ours and goes."""
    env = fake_git(tmp_path / "bin", small.git("rev-parse", "model-v1^{commit}")[:20])
    assert small.modelctl("rollback", "v1", env=env).code == -9
    assert (small.path / ".git/HEAD.lock").exists()
    assert small.modelctl("rollback", "v1").code == 0
    assert small.read("models/m") == b"bytes of v1\n"


def test_lock_of_somebody_else_on_head(small: Repo, tmp_path: Path) -> None:
    """A `HEAD.lock` with anything else in it is somebody else's: it stays, and the line to type is given."""
    env = fake_git(tmp_path / "bin", "theirs")
    assert small.modelctl("rollback", "v1", env=env).code == -9
    done = small.modelctl("rollback", "v1")
    assert done.code == 75
    assert "HEAD.lock" in done.err
    assert (small.path / ".git/HEAD.lock").read_text() == "theirs"
    (small.path / ".git/HEAD.lock").unlink()
    assert small.modelctl("rollback", "v1").code == 0


def test_commits_on_a_detached_head_are_named(small: Repo) -> None:
    """Leaving a commit that no branch has is said, with what keeps it; the branch that was left is remembered."""
    mine = modelctl.Repository(small.path)
    mine.rollback("v1")
    small.write("fix.py", "fix")
    lost = small.commit("a fix on the detached HEAD")
    assert mine.status().home == "main"
    done = mine.deploy("v2")
    assert any(lost[:12] in note and "git branch" in note for note in done.notes)
    assert mine.status().home == "main"


def test_reader_without_write_access(small: Repo) -> None:
    """Somebody who may only read gets answers: what is known of hashes cannot be kept, and is not missed."""
    modelctl.Repository(small.path).releases()
    for folder, _, names in os.walk(small.path.parent):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o444)
        os.chmod(folder, 0o555)
    limits = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for command in ("list", "status", "diff v1 v2", "show v1", "history"):
        done = subprocess.run(
            [*limits, sys.executable, "-m", "modelctl", *command.split()],
            cwd=small.path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
    for folder, _, _ in os.walk(small.path.parent):
        os.chmod(folder, 0o755)


def test_closed_standard_output(small: Repo) -> None:
    """With standard output closed the switch is done and nothing breaks."""
    command = f"{shlex.quote(sys.executable)} -m modelctl rollback v1 >&-"
    done = subprocess.run(command, shell=True, cwd=small.path, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert small.read("models/m") == b"bytes of v1\n"
    assert done.returncode == 0
