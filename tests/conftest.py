"""Real Git and real DVC in temporary folders, cut off from the user's own configuration."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.repos import Repo, make_repo


@pytest.fixture(scope="session", autouse=True)
def isolation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of its own, no system or global configuration, no analytics, fixed dates."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ann Author\n\temail = ann@example.org\n"
        '[init]\n\tdefaultBranch = main\n[protocol "file"]\n\tallow = always\n[gc]\n\tauto = 0\n'
    )
    own = {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_DATA_HOME": home / ".local",
        "GIT_CONFIG_GLOBAL": home / ".gitconfig",
        "GIT_CONFIG_NOSYSTEM": 1,
        "DVC_GLOBAL_CONFIG_DIR": home / "dvc-global",
        "DVC_SYSTEM_CONFIG_DIR": home / "dvc-system",
        "DVC_SITE_CACHE_DIR": home / "dvc-site",
        "DVC_NO_ANALYTICS": 1,
        "NO_COLOR": 1,
        "COLUMNS": 200,
        "TZ": "UTC",
    }
    # A background job of a shell ignores Ctrl-C, and so would every command that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_", "MODELCTL_FAULT"))]:
            patch.delenv(name)
        for name, value in own.items():
            patch.setenv(name, str(value))
        yield


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The repositories built so far in this session, by name: `fresh` copies them."""
    return {}


@pytest.fixture
def fresh(
    bases: dict[str, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[Repo], None]], Repo]:
    """A copy of the repository that a builder makes, which is built once a session.

    Call it with a name and a builder; the copy has `work` (the clone), `remote` (DVC's) and `git.git`.
    """

    def copy(name: str, build: Callable[[Repo], None]) -> Repo:
        if name not in bases:
            folder = tmp_path_factory.mktemp(name)
            build(make_repo(folder))
            bases[name] = folder
        target = tmp_path / name
        shutil.copytree(bases[name], target, symlinks=True)
        repo = Repo(target / "work")
        repo.git("status", "--porcelain")
        return repo

    return copy


@pytest.fixture
def repo(fresh: Callable[[str, Callable[[Repo], None]], Repo]) -> Repo:
    """A clone with three releases, `model-v1` to `model-v3`, of one file and one directory; all pushed."""
    return fresh("three-releases", three_releases)


def three_releases(repo: Repo) -> None:
    """Build the repository of the `repo` fixture."""
    for number in (1, 2, 3):
        repo.write("models/model.bin", f"model {number}\n" * 1000)
        for name in ("a", "b", "deep/c"):
            repo.write(f"models/dir/{name}", f"{name} {number}\n")
        repo.write("models/dir/same", "the same in every release\n")
        repo.write("code.py", f"VERSION = {number}\n")
        repo.dvc("add", "models/model.bin", "models/dir")
        repo.commit(f"Model {number}", number)
        repo.tag(f"model-v{number}")
        repo.dvc("push")
    repo.git("push", "-q", "origin", "main", "--tags")
