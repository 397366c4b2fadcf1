"""DVC itself: objects to and from remotes, with DVC's own transports and credentials.

The only importer of DVC. `dvc.repo.Repo` and the object databases behind it are not documented API;
`tests/test_dvc_contract.py` holds what is relied on.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelctl import faults
from modelctl.domain.pointers import Digest
from modelctl.errors import Unavailable
from modelctl.stores.dvc_config import DvcConfig
from modelctl.stores.git import without_credentials
from modelctl.stores.transport import ask, is_secret, reason, settings_for, translated, unavailable

AT_TAG = "modelctl-at-tag"
_NOBODY = "0" * 32
_READERS = 4


@dataclass(frozen=True, slots=True)
class Remote:
    """A DVC remote that is open, and the cache that it exchanges objects with."""

    name: str
    url: str
    _repo: Any
    _secrets: tuple[str, ...] = ()
    _may_create: bool = False
    _opened: dict[bool, Any] = field(default_factory=dict)

    def fetch(self, digests: Iterable[Digest]) -> dict[Digest, str]:
        """Bring objects into the cache; returns those that did not come, with the reason.

        Objects are taken one by one: a directory's manifest does not bring its files. What arrives is
        not verified here.
        """
        failed: dict[Digest, str] = {}
        for group, cache, remote in self._stores(digests):
            failed |= self._move(group, remote, cache, "fetch")
        return failed

    def push(self, digests: Iterable[Digest]) -> dict[Digest, str]:
        """Bring objects from the cache to the remote; returns those that failed, with the reason."""
        failed: dict[Digest, str] = {}
        for group, cache, remote in self._stores(digests):
            failed |= self._move(group, cache, remote, "push")
        return failed

    def sizes(self, digests: Iterable[Digest]) -> dict[Digest, int | None]:
        """The size in bytes that each object has on the remote, None for one that is not there."""
        found: dict[Digest, int | None] = {}
        for group, _, remote in self._stores(digests):
            paths = [remote.oid_to_path(digest.oid) for digest in group]
            with self._translated():
                answers = remote.fs.info(paths, batch_size=remote.fs.jobs, return_exceptions=True)
            for digest, answer in zip(group, answers, strict=True):
                if isinstance(answer, FileNotFoundError):
                    found[digest] = None
                elif isinstance(answer, BaseException):
                    raise self._unavailable(answer) from answer
                else:
                    found[digest] = int(answer.get("size") or 0)
        return found

    def unsound(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of the objects, all of which are there, whose bytes are not what they name.

        Every byte is read, in streams, a few objects at a time.
        """
        every = list(dict.fromkeys(digests))
        for legacy in {digest.legacy for digest in every}:
            self._store(legacy=legacy)
        with ThreadPoolExecutor(_READERS) as readers:
            sound = readers.map(self.holds, every)
            return {digest for digest, holds in zip(every, sound, strict=True) if not holds}

    def holds(self, digest: Digest) -> bool:
        """Whether the remote's bytes are what `digest` names, read in a stream."""
        plain, text = (hashlib.md5(usedforsecurity=False) for _ in range(2))
        remote = self._store(legacy=digest.legacy)
        with self._translated(), remote.fs.open(remote.oid_to_path(digest.oid), "rb") as file:
            while chunk := file.read(1 << 20):
                plain.update(chunk)
                if digest.legacy:
                    text.update(chunk.replace(b"\r\n", b"\n"))
        return digest.md5 == plain.hexdigest() or (digest.legacy and digest.md5 == text.hexdigest())

    def read(self, digest: Digest) -> bytes:
        """The bytes that the remote has for a manifest."""
        remote = self._store(legacy=digest.legacy)
        with self._translated(), remote.fs.open(remote.oid_to_path(digest.oid), "rb") as file:
            data: bytes = file.read(512 << 20)
            return data

    def _stores(self, digests: Iterable[Digest]) -> Iterator[tuple[list[Digest], Any, Any]]:
        """The digests by generation, each with its cache and its remote store."""
        every = list(dict.fromkeys(digests))
        for legacy in (False, True):
            group = [digest for digest in every if digest.legacy is legacy]
            if group:
                remote = self._store(legacy=legacy)
                yield group, self._repo.cache.legacy if legacy else self._repo.cache.local, remote

    def _store(self, *, legacy: bool) -> Any:
        """The remote's objects of one generation; the first to be opened proves that the remote answers."""
        if legacy not in self._opened:
            with self._translated():
                name = "md5-dos2unix" if legacy else "md5"
                store = self._repo.cloud.get_remote_odb(self.name, hash_name=name)
                if not self._opened:
                    self._reach(store)
            self._opened[legacy] = store
        return self._opened[legacy]

    def _reach(self, store: Any) -> None:
        """Raise unless the remote says something, be it "not there", within `PATIENCE`."""
        if store.fs.protocol == "local":
            folder = Path(self._repo.config["remote"][self.name.lower()]["url"])
            if not folder.is_dir() and not self._may_create:
                raise Unavailable(f"the DVC remote {self.url} is not there", hint="mount it, or: dvc remote modify")
            return
        answer = ask(lambda: store.fs.info(store.oid_to_path(_NOBODY)))
        is_answer = isinstance(answer, (FileNotFoundError, PermissionError)) or hasattr(answer, "status")
        if isinstance(answer, BaseException) and not is_answer:
            raise answer

    def _move(self, group: list[Digest], source: Any, target: Any, verb: str) -> dict[Digest, str]:
        failed: dict[Digest, str] = {}
        by_oid = {digest.oid: digest for digest in group}

        def note(oid: str, exc: BaseException) -> None:
            failed[by_oid[oid]] = "not there" if isinstance(exc, FileNotFoundError) else self._reason(exc)

        with self._translated(), faults.point(f"dvc.{verb}"):
            while group:
                known = len(failed)
                try:
                    target.add(
                        [source.oid_to_path(digest.oid) for digest in group],
                        source.fs,
                        [digest.oid for digest in group],
                        on_error=note,
                        verify=False,
                        hardlink=False,
                        check_exists=False,
                        batch_size=target.fs.jobs,
                    )
                    break
                except FileNotFoundError:
                    # Transports that fetch one by one report the absent object, then stumble over its
                    # temporary file; what they had not come to is still to be had.
                    if len(failed) == known:
                        raise
                    group = [d for d in group if d not in failed and not target.exists(d.oid)]
        return failed

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self.url, self._secrets):
            yield

    def _unavailable(self, exc: BaseException) -> Unavailable:
        return unavailable(self.url, exc, self._secrets)

    def _reason(self, exc: BaseException) -> str:
        return reason(exc, self._secrets)


@contextlib.contextmanager
def open_remote(
    config: DvcConfig,
    name: str | None = None,
    *,
    location: Mapping[str, str] | None = None,
    may_create: bool = False,
) -> Iterator[Remote]:
    """Open a remote of the DVC root that `config` is of: the named one, else the default.

    `location` (of a remote that an older commit's configuration names) is opened with that location
    and nothing else of it; when it is on a server that today's configuration knows, the settings and
    credentials for that server are today's. `may_create`: a local folder that is not there is one
    that a push will make. Raises `Unavailable` when there is no such remote or it cannot be opened.
    """
    wanted = AT_TAG if location else (name or config.default_remote or "").lower()
    remotes = dict(config.remotes)
    if location:
        remotes[AT_TAG] = settings_for(location, remotes)
    if not wanted:
        raise Unavailable(f"no DVC remote is configured in {config.root}", hint="dvc remote add -d NAME URL")
    if wanted not in remotes:
        raise Unavailable(f"the DVC remote {wanted} is not configured", hint=f"dvc remote add {wanted} URL")
    url = without_credentials(remotes[wanted].get("url", ""))
    secrets = tuple(value for values in remotes.values() for key, value in values.items() if is_secret(key))
    with _open_repo(config, remotes) as repo:
        yield Remote(wanted, url, repo, secrets, may_create)


def fetch_outs(config: DvcConfig, commit: str, paths: Iterable[str]) -> None:
    """Let DVC fetch the outs at `paths` (relative to Git's top) of a commit, its own way.

    For imports and cloud-versioned outs, whose objects no remote holds by their hash. DVC says
    nothing of what it did not find: the caller looks again.
    """
    with (
        contextlib.chdir(config.root),  # DVC takes an import's relative url from where the process is
        _open_repo(config, config.remotes) as repo,
        translated("of the import"),
        faults.point("dvc.fetch-outs"),
    ):
        # DVC reads the commit through Git, with Git's top as its root directory.
        repo.fetch(targets=[f"/{path}" for path in paths], revs=[commit], workspace=False)


def init_dvc(top: Path) -> None:
    """Make the Git repository at `top` a DVC repository too; its files are staged, as `dvc init` does."""
    from dvc.repo import Repo

    _be_quiet()
    with translated(str(top)), faults.point("dvc.init"):
        Repo.init(str(top)).close()


@contextlib.contextmanager
def _open_repo(config: DvcConfig, remotes: Mapping[str, dict[str, str]]) -> Iterator[Any]:
    """DVC's repository object, with today's configuration and none of the checked out one."""
    try:
        kind = _repo_class()
    except ImportError as exc:
        raise Unavailable("dvc is not installed", hint='pip install "dvc>=3.60,<4"') from exc
    _be_quiet()
    plain = {name: dict(values) for name, values in config.sections.items() if '"' not in name}
    plain["cache"] = plain.get("cache", {}) | {"dir": str(config.cache_dir)}
    with translated(str(config.root)):
        repo = kind(str(config.root), config={**plain, "remote": dict(remotes)}, uninitialized=True)
    try:
        yield repo
    finally:
        repo.close()


@functools.cache
def _repo_class() -> Any:
    from dvc.config import Config
    from dvc.repo import Repo

    class Today(Repo):  # type: ignore[misc, unused-ignore]  # DVC is untyped
        """A repository whose configuration is the one that it is given: DVC's own would be laid under it."""

        @functools.cached_property
        def config(self) -> Any:
            return Config(config=self._config)

        def _ignore(self) -> None:
            """Leave `.dvc/.gitignore` as it is: at an old release it is not ours to complete."""

    return Today


def _be_quiet() -> None:
    """Results and errors are ours to print; DVC's progress bars and log lines would mix with them."""
    for name in ("dvc", "dvc_data", "dvc_objects", "asyncssh", "fsspec", "s3fs", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
