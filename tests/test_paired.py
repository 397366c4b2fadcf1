"""The same switches twice from the same state, by `git checkout` + `dvc pull` and by us: the outcome is the same."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from dvc.repo import Repo as DvcRepo

import modelctl
from tests.repos import Repo, make_repo

SWITCHES = 14
RELEASES = 5
SEED = int(os.environ.get("MODELCTL_PAIRED_SEED", "20260601"))
NAMES = ("a", "b c", "é", "deep/er/d", "deep/e", "Z", "empty")


@dataclass(frozen=True)
class Seen:
    """What a user finds at a path: its kind, content, mode, and how it hangs together with the cache."""

    kind: str
    content: str
    mode: str
    link: str


@pytest.mark.parametrize("types", ["copy", "hardlink", "symlink", "reflink,copy"])
def test_switches_end_as_git_and_dvc_would_have_it(tmp_path: Path, types: str) -> None:
    """After every switch of a random sequence both clones hold the same files, links and modes, and are clean."""
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    luck = random.Random(f"{SEED}{types}")
    ours, theirs = pair(tmp_path, luck, types)
    at = f"v{RELEASES}"
    for step in range(SWITCHES):
        at = luck.choice([f"v{n}" for n in range(1, RELEASES + 1) if f"v{n}" != at])
        what = perturb(luck, ours, theirs)
        where = f"MODELCTL_PAIRED_SEED={SEED} {types}: switch {step} to {at} after {what}"
        checkout(theirs, at, force=what in CACHE_LOST)
        modelctl.Repository(ours.path).deploy(at, everything=True)
        assert changed(ours) == [], where
        take_away_what_dvc_left(ours, theirs)
        found = differences(ours, theirs)
        assert {name: seen for name, seen in found.items() if not is_better(*seen)} == {}, where
        assert changed(theirs) == [], where
        assert status(theirs) == {}, where
        if what in CACHE_LOST:
            fetch(ours)
        assert status(ours) == {}, where
        assert ours.head() == theirs.head(), where
        assert ours.git("ls-files", "-s") == theirs.git("ls-files", "-s"), where


# Where ours is another outcome on purpose:
#
# 1. DVC refuses (and Git has switched already) when the cache lost the bytes that are live. Ours compares them
#    with their pointer and gives them to the cache again, so theirs gets `--force` then.
# 2. Ours does not touch an out whose bytes are live already, and does not need its objects for that; DVC fetches
#    them, which is why ours is told to before `dvc status` is asked.
# 3. DVC knows an out that must go by its link records alone. With `.dvc/tmp` lost, or a file's time changed since,
#    the old model stays behind as an untracked file. Ours goes by pointers and content, and removes it.
# 4. DVC leaves the empty folder behind in which an out was. Git has no empty folders, and ours leaves none.
# 5. DVC leaves single files of a folder as they are when the object that they were linked to was lost and has come
#    again. Ours links them as the configuration says.
CACHE_LOST = {"cold cache", "half a cache"}


def take_away_what_dvc_left(ours: Repo, theirs: Repo) -> None:
    """Remove from their clone what 3 and 4 explain, so that both start the next switch alike."""
    left = [name for name, (mine, other) in differences(ours, theirs).items() if mine is None and other is not None]
    untracked = theirs.git("ls-files", "-z", "--others", "--exclude-standard").split("\0")
    for name in sorted(left, reverse=True):
        path = theirs.path / name
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name in untracked:
            path.unlink()


def is_better(mine: Seen | None, other: Seen | None) -> bool:
    """Whether a difference is the fifth of the list."""
    return (
        mine is not None
        and other is not None
        and mine.link == "cached inode"
        and replace(other, link=mine.link) == mine
    )


def changed(repo: Repo) -> list[str]:
    """What Git says is not as committed, but for the user's own file."""
    return [line for line in repo.git("status", "--porcelain").splitlines() if line != "?? notes.txt"]


def fetch(repo: Repo) -> None:
    with DvcRepo(str(repo.path)) as opened:
        opened.fetch()


def checkout(repo: Repo, release: str, *, force: bool) -> None:
    """What users type without us, with DVC in this process."""
    repo.git("checkout", "-q", f"model-{release}")
    with DvcRepo(str(repo.path)) as opened:
        opened.pull(force=force)


def status(repo: Repo) -> dict[str, object]:
    with DvcRepo(str(repo.path)) as opened:
        return dict(opened.status())


def perturb(luck: random.Random, *repos: Repo) -> str:
    """Do the same harmless thing to both clones before a switch; says what."""
    kind = luck.choice(
        ["nothing", "nothing", "cold cache", "half a cache", "lost out", "touched", "lost state", "edited"]
    )
    half = luck.random()
    for repo in repos:
        if kind == "cold cache":
            unlink_from_cache(repo, lambda oid: True)
        elif kind == "half a cache":
            unlink_from_cache(repo, lambda oid: int(oid[:2], 16) / 256 < half)
        elif kind == "lost out":
            (repo.path / "models/one.bin").unlink(missing_ok=True)
        elif kind == "touched":
            for path in (repo.path / "models").rglob("*.bin"):
                if not path.is_symlink():
                    os.utime(path, (1_700_000_000, 1_700_000_000))
        elif kind == "lost state":
            shutil.rmtree(repo.path / ".dvc/tmp", ignore_errors=True)
        elif kind == "edited":
            repo.write("notes.txt", f"the user's {half}\n")
    return kind


def unlink_from_cache(repo: Repo, chosen) -> None:
    """Lose cached objects, except those that a symlink of the workspace needs."""
    needed = {path.resolve() for path in repo.path.rglob("*") if path.is_symlink()}
    for path in (repo.path / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path not in needed and chosen(path.parent.name):
            path.unlink()


def differences(ours: Repo, theirs: Repo) -> dict[str, tuple[Seen | None, Seen | None]]:
    """The paths at which the two clones differ: (ours, theirs)."""
    mine, other = look(ours), look(theirs)
    return {
        name: (mine.get(name), other.get(name))
        for name in mine.keys() | other.keys()
        if mine.get(name) != other.get(name)
    }


def look(repo: Repo) -> dict[str, Seen]:
    """Every path of the working tree but Git's and DVC's own, folders included."""
    cache = repo.path / ".dvc/cache"
    inodes = {path.stat().st_ino for path in cache.rglob("*") if path.is_file()}
    found = {}
    for path in walk(repo.path):
        name = path.relative_to(repo.path).as_posix()
        if name == ".dvc/config.local":
            continue
        lost = path.is_symlink() and not path.exists()
        stat = path.lstat() if lost else path.stat()
        if path.is_symlink():
            link = f"-> {os.path.relpath(os.readlink(path), cache)}"
        elif path.is_file():
            link = "cached inode" if stat.st_ino in inodes else "own"
        else:
            link = ""
        content = hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else ""
        kind = "folder" if path.is_dir() else "file"
        found[name] = Seen(kind, content, oct(stat.st_mode & 0o777), link)
    return found


def walk(top: Path) -> Iterator[Path]:
    for path in sorted(top.iterdir()):
        if path.name == ".git" or (path.parent.name == ".dvc" and path.name in {"cache", "tmp"}):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)


# Random repositories.


def pair(folder: Path, luck: random.Random, types: str) -> tuple[Repo, Repo]:
    """Two equal clones of a random repository, each with its own cache and remote, linked by `types`."""
    first = make_repo(folder / "ours")
    first.dvc("config", "cache.type", types)
    build(first, luck)
    shutil.copytree(folder / "ours", folder / "theirs", symlinks=True)
    second = Repo(folder / "theirs/work")
    for repo in (first, second):
        shutil.rmtree(repo.path / "models")
        shutil.rmtree(repo.path / "data", ignore_errors=True)
        repo.git("checkout", "-q", "-f", "model-v1")
        repo.git("checkout", "-q", "-f", f"model-v{RELEASES}")
        shutil.rmtree(repo.path / ".dvc/tmp")
        with DvcRepo(str(repo.path)) as opened:
            opened.checkout(force=True)
    assert differences(first, second) == {}
    return first, second


def build(repo: Repo, luck: random.Random) -> None:
    """Releases whose outs change, come, go, move, and turn from files into folders and back."""
    for number in range(1, RELEASES + 1):
        repo.git("rm", "-rqf", "--ignore-unmatch", "models", "data", "code")
        for name in ("models", "data", "code"):
            shutil.rmtree(repo.path / name, ignore_errors=True)
        outs = ["models/one.bin"]
        repo.write("models/one.bin", b"alone\n" + blob(luck))
        if luck.random() < 0.6:
            (repo.path / "models/one.bin").chmod(0o755)
        for name in ("models/dir", "models/deep/nested", "data/set"):
            if luck.random() < 0.7:
                for file in luck.sample(NAMES, luck.randint(1, len(NAMES))):
                    repo.write(f"{name}/{file}", b"" if file == "empty" else blob(luck))
                outs.append(name)
        if luck.random() < 0.5:
            repo.write("models/empty.bin", b"")
            outs.append("models/empty.bin")
        if luck.random() < 0.5:
            repo.write("models/turns", blob(luck))
            outs.append("models/turns")
        elif luck.random() < 0.7:
            repo.write("models/turns/into", blob(luck))
            outs.append("models/turns")
        if luck.random() < 0.6:
            repo.write("models/sub/moves.bin" if luck.random() < 0.5 else "models/moves.bin", b"moves" * 50)
            outs.append("models/sub/moves.bin" if (repo.path / "models/sub").exists() else "models/moves.bin")
        with DvcRepo(str(repo.path)) as opened:
            opened.add([str(repo.path / out) for out in outs])
        for file in luck.sample(("a.py", "pkg/b.py", "run.sh"), luck.randint(1, 3)):
            path = repo.write(f"code/{file}", f"VERSION = {number if luck.random() < 0.7 else 0}\n")
            path.chmod(0o755 if file == "run.sh" else 0o644)
        repo.commit(f"Model {number}", number)
        repo.tag(f"model-v{number}", annotated=luck.random() < 0.5)
        with DvcRepo(str(repo.path)) as opened:
            opened.push()


def blob(luck: random.Random) -> bytes:
    """A few bytes, of which there are not many: releases share content."""
    return f"{luck.randint(0, 9)}\n".encode() * luck.randint(1, 3) * 40
