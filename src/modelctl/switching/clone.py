"""The clone as a place where a release can be live: HEAD, the workspace, and what modelctl keeps of them."""

from __future__ import annotations

import contextlib
import functools
import getpass
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from modelctl.domain.pointers import Out
from modelctl.domain.releases import Release, Tag
from modelctl.domain.settings import FILES, Settings, parse_settings
from modelctl.domain.snapshots import Snapshot
from modelctl.errors import NotFound, Refused
from modelctl.stores import files
from modelctl.stores.catalog import POINTER_FILES, Catalog, list_releases, read_worktree
from modelctl.stores.dvc_config import DvcConfig, load_config
from modelctl.stores.git import Git, Head, open_git
from modelctl.stores.known import KnownHashes
from modelctl.stores.objects import Cache
from modelctl.switching.history import Entry, load_history
from modelctl.switching.journal import read_intent


class Clone:
    """An open clone. It holds one Git process and one database; use it as a context manager.

    modelctl keeps its records in `modelctl/` inside the worktree's Git folder: nothing of them is ever
    tracked, and a switch cannot take them along.
    """

    def __init__(self, path: Path) -> None:
        self.git: Git = open_git(path)
        self.state: Path = self.git.git_dir / "modelctl"
        self.known = KnownHashes(self.git.common_dir / "modelctl" / "known.sqlite")
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()
        self.known.close()

    @functools.cached_property
    def catalog(self) -> Catalog:
        """The releases and pointers in Git."""
        return Catalog(self._closing.enter_context(self.git.objects()))

    @functools.cached_property
    def head(self) -> Head:
        """Where HEAD is; see `refresh`."""
        return self.git.head()

    @functools.cached_property
    def tags(self) -> list[Tag]:
        """Every tag of the clone."""
        return self.git.tags()

    @functools.cached_property
    def releases(self) -> list[Release]:
        """Every tag that is a release."""
        return list_releases(self.tags, self.settings)

    @property
    def history_file(self) -> Path:
        """Where the history is kept."""
        return self.state / "history.jsonl"

    @functools.cached_property
    def history(self) -> list[Entry]:
        """Every switch here, oldest first."""
        return load_history(self.history_file)

    def refresh(self) -> None:
        """Forget what was read of HEAD, tags and history."""
        for name in ("head", "tags", "releases", "history", "home", "settings"):
            self.__dict__.pop(name, None)
        self._configs.cache_clear()

    @functools.cached_property
    def home(self) -> str | None:
        """The branch (or commit) that was left, while HEAD is detached at a release; else None."""
        if self.head.branch is not None:
            return None
        unfinished = read_intent(self.state / "intent.json")
        for entry in reversed([*self.history, *([unfinished.entry] if unfinished else [])]):
            if entry.happened and entry.mode == "checkout":
                if entry.target.branch is not None or not self._stands_on(entry.target.commit):
                    return None
                return entry.home if entry.home and self.git.find_commit(entry.home) else entry.source.commit
        return None

    def _stands_on(self, commit: str) -> bool:
        """Whether HEAD is at `commit`, or at commits made on top of it."""
        head = self.head.commit
        return head == commit or (head is not None and self.git.is_ancestor(commit, head))

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings: of the working tree, or of the branch that was left while at a release."""
        if self.home is not None:
            return self.catalog.settings(self.git.find_commit(self.home) or "") or Settings()
        if self.git.bare:
            return (self.catalog.settings(self.head.commit) if self.head.commit else None) or Settings()
        for name in FILES:
            with contextlib.suppress(FileNotFoundError):
                if found := parse_settings((self.git.top / name).read_bytes(), name):
                    return found
        return Settings()

    def config(self, root: str) -> DvcConfig:
        """Today's DVC configuration of the DVC root at `root`."""
        return self._configs(root)

    @functools.cached_property
    def _configs(self) -> functools._lru_cache_wrapper[DvcConfig]:
        return functools.lru_cache(maxsize=None)(self._load_config)

    def _load_config(self, root: str) -> DvcConfig:
        committed = None
        if self.home is not None:
            commit = self.git.find_commit(self.home) or ""
            committed = self.catalog.text(commit, posixpath.join(root, ".dvc/config")) or b""
        return load_config(self.git.top / root, committed=committed)

    def cache(self, root: str) -> Cache:
        """The object cache of the DVC root at `root`."""
        return Cache(self.config(root).cache_dir, self.known)

    def caches(self, out: Out) -> Cache:
        """The object cache that holds the bytes of `out`."""
        return self.cache(out.root)

    def workspace(self) -> Snapshot:
        """What the pointers in the working tree say, committed or not."""
        if self.git.bare:
            raise Refused("a bare repository has no workspace", hint="git worktree add ../workspace main")
        if self.head.commit is None:
            raise NotFound("this repository has no commit yet", hint="git commit -m 'first commit'")
        changed = [entry.path for entry in self.git.status(untracked=POINTER_FILES)]
        texts = read_worktree(self.git.top, changed)
        if not texts:
            return self.catalog.snapshot(self.head.commit)
        return self.catalog.overlaid(self.head.commit, texts)

    def who(self) -> str:
        """The person at work, as Git knows them."""
        ident = self.git.run("var", "GIT_COMMITTER_IDENT", check=False).decode("utf-8", "replace")
        return ident.rpartition(">")[0] + ">" if ">" in ident else getpass.getuser()

    @contextlib.contextmanager
    def lock(self, *, wait: float = 0) -> Iterator[None]:
        """Be the only modelctl that changes this clone; waits up to `wait` seconds."""
        self.state.mkdir(parents=True, exist_ok=True)
        with files.lock(self.state / "lock", wait=wait, busy="another modelctl is at work in this clone"):
            yield
