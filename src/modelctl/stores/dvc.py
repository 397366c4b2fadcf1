"""DVC itself: objects to and from remotes, with DVC's own transports and credentials.

The only importer of DVC. `dvc.repo.Repo` and the object databases behind it are not documented API;
`tests/test_dvc_contract.py` holds what is relied on.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelctl import faults
from modelctl.domain.pointers import Digest
from modelctl.errors import ModelctlError, Unavailable
from modelctl.stores.dvc_config import DvcConfig
from modelctl.stores.git import without_credentials

AT_TAG = "modelctl-at-tag"
_LOCATION = ("url", "endpointurl", "region")


@dataclass(frozen=True, slots=True)
class Remote:
    """A DVC remote that is open, and the cache that it exchanges objects with."""

    name: str
    url: str
    _repo: Any

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
            with _translated(self.url):
                answers = remote.fs.info(paths, batch_size=remote.fs.jobs, return_exceptions=True)
            for digest, answer in zip(group, answers, strict=True):
                if isinstance(answer, FileNotFoundError):
                    found[digest] = None
                elif isinstance(answer, BaseException):
                    raise _unavailable(self.url, answer) from answer
                else:
                    found[digest] = int(answer.get("size") or 0)
        return found

    def holds(self, digest: Digest) -> bool:
        """Whether the remote's bytes are what `digest` names, read in a stream."""
        plain, text = (hashlib.md5(usedforsecurity=False) for _ in range(2))
        (_, _, remote), *_ = self._stores([digest])
        with _translated(self.url), remote.fs.open(remote.oid_to_path(digest.oid), "rb") as file:
            while chunk := file.read(1 << 20):
                plain.update(chunk)
                if digest.legacy:
                    text.update(chunk.replace(b"\r\n", b"\n"))
        return digest.md5 == plain.hexdigest() or (digest.legacy and digest.md5 == text.hexdigest())

    def read(self, digest: Digest) -> bytes:
        """The bytes that the remote has for a manifest."""
        (_, _, remote), *_ = self._stores([digest])
        with _translated(self.url), remote.fs.open(remote.oid_to_path(digest.oid), "rb") as file:
            data: bytes = file.read(512 << 20)
            return data

    def _stores(self, digests: Iterable[Digest]) -> Iterator[tuple[list[Digest], Any, Any]]:
        """The digests by generation, each with its cache and its remote store."""
        every = list(dict.fromkeys(digests))
        for legacy in (False, True):
            group = [digest for digest in every if digest.legacy is legacy]
            if group:
                name = "md5-dos2unix" if legacy else "md5"
                with _translated(self.url):
                    store = self._repo.cloud.get_remote_odb(self.name, hash_name=name)
                yield group, self._repo.cache.legacy if legacy else self._repo.cache.local, store

    def _move(self, group: list[Digest], source: Any, target: Any, verb: str) -> dict[Digest, str]:
        failed: dict[Digest, str] = {}
        by_oid = {digest.oid: digest for digest in group}

        def note(oid: str, exc: BaseException) -> None:
            failed[by_oid[oid]] = "not there" if isinstance(exc, FileNotFoundError) else _reason(exc)

        paths = [source.oid_to_path(digest.oid) for digest in group]
        with _translated(self.url), faults.point(f"dvc.{verb}"):
            target.add(
                paths,
                source.fs,
                list(by_oid),
                on_error=note,
                verify=False,
                hardlink=False,
                check_exists=False,
                batch_size=target.fs.jobs,
            )
        return failed


@contextlib.contextmanager
def open_remote(
    config: DvcConfig, name: str | None = None, *, location: Mapping[str, str] | None = None
) -> Iterator[Remote]:
    """Open a remote of the DVC root that `config` is of: the named one, else the default.

    `location` (of a remote that an older commit's configuration names) is opened with that location
    and nothing else of it. Raises `Unavailable` when there is no such remote or it cannot be opened.
    """
    wanted = AT_TAG if location else name or config.default_remote
    remotes = dict(config.remotes)
    if location:
        remotes[AT_TAG] = {key: location[key] for key in _LOCATION if key in location}
    if wanted is None:
        raise Unavailable(f"no DVC remote is configured in {config.root}", hint="dvc remote add -d NAME URL")
    if wanted not in remotes:
        raise Unavailable(f"the DVC remote {wanted} is not configured", hint=f"dvc remote add {wanted} URL")
    url = without_credentials(remotes[wanted].get("url", ""))
    with _open_repo(config, remotes) as repo:
        yield Remote(wanted, url, repo)


def fetch_outs(config: DvcConfig, commit: str, paths: Iterable[str]) -> None:
    """Let DVC fetch the outs at `paths` (relative to the DVC root) of a commit, its own way.

    For imports and cloud-versioned outs, whose objects no remote holds by their hash. DVC says
    nothing of what it did not find: the caller looks again.
    """
    with (
        _open_repo(config, dict(config.remotes)) as repo,
        _translated("the DVC remote"),
        faults.point("dvc.fetch-outs"),
    ):
        repo.fetch(targets=list(paths), revs=[commit], workspace=False)


@contextlib.contextmanager
def _open_repo(config: DvcConfig, remotes: Mapping[str, dict[str, str]]) -> Iterator[Any]:
    """DVC's repository object, with today's configuration instead of the checked out one."""
    try:
        from dvc.repo import Repo
    except ImportError as exc:
        raise Unavailable("dvc is not installed", hint='pip install "dvc>=3.60,<4"') from exc

    _be_quiet()
    override: dict[str, Any] = {"remote": dict(remotes), "cache": {"dir": str(config.cache_dir)}}
    if config.default_remote:
        override["core"] = {"remote": config.default_remote}
    with _translated(str(config.root)):
        repo = Repo(str(config.root), config=override)
    try:
        yield repo
    finally:
        repo.close()


def _be_quiet() -> None:
    """Results and errors are ours to print; DVC's progress bars and log lines would mix with them."""
    logging.getLogger("dvc").setLevel(logging.CRITICAL)
    logging.getLogger("dvc_data").setLevel(logging.CRITICAL)
    logging.getLogger("dvc_objects").setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn whatever DVC or a transport of it raises into our errors."""
    try:
        yield
    except (ModelctlError, MemoryError):
        raise
    except Exception as exc:
        raise _unavailable(url, exc) from exc


def _unavailable(url: str, exc: BaseException) -> Unavailable:
    kind = type(exc).__name__
    if kind in {"RemoteMissingDepsError", "ModuleNotFoundError"}:
        scheme = url.partition("://")[0]
        extra = {"gs": "gs", "azure": "azure", "s3": "s3", "ssh": "ssh"}.get(scheme, scheme)
        return Unavailable(f"{url} needs the extra {extra}", hint=f'pip install "modelctl[{extra}]"')
    if kind == "LockError":
        return Unavailable("dvc is at work in this repository", hint="try again when it is done")
    return Unavailable(f"the DVC remote {url} failed: {_reason(exc)}", hint="check the network and the credentials")


def _reason(exc: BaseException) -> str:
    """The shortest honest account of an exception: its innermost message, without credentials."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    text = without_credentials(str(exc)) or type(exc).__name__
    return re.sub(r"\s+", " ", text)[:300]


def init_dvc(top: Path) -> None:
    """Make the Git repository at `top` a DVC repository too; its files are staged, as `dvc init` does."""
    from dvc.repo import Repo

    _be_quiet()
    with _translated(str(top)), faults.point("dvc.init"):
        Repo.init(str(top)).close()
