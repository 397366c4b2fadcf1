"""Repositories for tests: real ones, small, told what to be in a few words."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EPOCH = 1_780_000_000


@dataclass(frozen=True)
class Run:
    """What a command printed and exited with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def result(self) -> dict[str, Any]:
        return self.json["result"]


@dataclass(frozen=True)
class Repo:
    """A clone and its two remotes beside it: `../remote` for DVC, `../git.git` for Git."""

    path: Path

    def git(self, *args: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.path, capture_output=True, text=True, env={**os.environ, **(env or {})}
        )
        assert done.returncode == 0, f"git {args}: {done.stderr}"
        return done.stdout.strip()

    def dvc(self, *args: str) -> str:
        """DVC's own command line, in a process of its own."""
        done = self.try_dvc(*args)
        assert done.code == 0, f"dvc {args}: {done.out}{done.err}"
        return done.out

    def try_dvc(self, *args: str) -> Run:
        done = subprocess.run([sys.executable, "-m", "dvc", *args], cwd=self.path, capture_output=True, text=True)
        return Run(done.returncode, done.stdout, done.stderr)

    def modelctl(self, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Run:
        """The command line, in a process of its own as a user starts it."""
        done = subprocess.run(
            [sys.executable, "-m", "modelctl", *args],
            cwd=cwd or self.path,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def commit(self, message: str, day: int = 0) -> str:
        """Commit everything, dated `day` days after a fixed date."""
        date = f"{EPOCH + day * 86_400} +0000"
        self.git("add", "-A")
        self.git(
            "commit", "-q", "--allow-empty", "-m", message,
            env={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        )  # fmt: skip
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, *, annotated: bool = True, day: int = 0, at: str = "HEAD") -> None:
        date = f"{EPOCH + day * 86_400} +0000"
        kind = ["-a", "-m", name] if annotated else []
        self.git("tag", *kind, name, at, env={"GIT_COMMITTER_DATE": date})

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def branch(self) -> str:
        """The branch that HEAD is on, or an empty string when it is detached."""
        return self.git("branch", "--show-current")

    def tree(self) -> dict[str, str]:
        """Every file of the working tree outside `.git` and `.dvc`, by MD5: what a user would lose."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if name.split("/")[0] not in {".git", ".dvc"} and path.is_file():
                found[name] = hashlib.md5(path.read_bytes()).hexdigest()
        return found

    def cached(self) -> dict[str, str]:
        """Every cached object by name, with the MD5 of what it holds."""
        return _objects(self.path / ".dvc" / "cache")

    def on_remote(self) -> dict[str, str]:
        return _objects(self.path.parent / "remote")

    def object(self, oid: str) -> Path:
        return self.path / ".dvc/cache/files/md5" / oid[:2] / oid[2:]

    def drop_cache(self) -> None:
        """Forget every cached object, as a fresh clone on another machine would."""
        import shutil

        shutil.rmtree(self.path / ".dvc/cache")

    def assert_clean(self) -> None:
        """Git and DVC both say that nothing differs."""
        assert self.git("status", "--porcelain") == ""
        assert "up to date" in self.dvc("status"), self.dvc("status")
        self.git("fsck", "--no-dangling")

    def clone(self, name: str, *options: str) -> Repo:
        """Another clone of the Git remote, beside this one."""
        target = self.path.parent / name
        self.git("clone", "-q", *options, (self.path.parent / "git.git").as_uri(), str(target))
        return Repo(target)


def make_repo(folder: Path) -> Repo:
    """A new Git + DVC repository in `folder/work`, with its two remotes."""
    repo = Repo(folder / "work")
    repo.path.mkdir(parents=True)
    (folder / "remote").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", str(folder / "git.git")], check=True)
    repo.git("init", "-q")
    repo.git("remote", "add", "origin", "../git.git")
    repo.dvc("init", "-q")
    repo.dvc("remote", "add", "-q", "-d", "store", "../remote")
    return repo


def main(capsys: pytest.CaptureFixture[str], repo: Repo, *args: str) -> Run:
    """The command line in this process, through `main()`: exit code and output as a user sees them."""
    from modelctl.cli import main as modelctl

    code = modelctl([args[0], "-C", str(repo.path), *args[1:]])
    captured = capsys.readouterr()
    return Run(code, captured.out, captured.err)


def _objects(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "modelctl-set-aside" not in path.parts and not path.name.endswith(".tmp")
    }
