"""Bringing the objects of a release into the cache, and proving that they are what their names say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modelctl.domain.pointers import Digest, Out
from modelctl.errors import Integrity, ModelctlError, Unavailable
from modelctl.stores.dvc_config import DvcConfig, parse_config
from modelctl.stores.git import without_credentials
from modelctl.stores.objects import Cache, SetAside
from modelctl.switching.clone import Clone

Progress = Callable[[str], None]


@dataclass(slots=True)
class Acquired:
    """What had to be done so that every object is here: objects and bytes fetched, bad ones set aside."""

    objects: int = 0
    bytes: int = 0
    set_aside: list[SetAside] = field(default_factory=list)


def acquire(clone: Clone, outs: Iterable[Out], *, commit: str, progress: Progress | None = None) -> Acquired:
    """Have every object of `outs` in the cache with the right content, fetching what is not.

    A cached object with other content is set aside and fetched again; when that cannot be had it is
    put back. Raises `Unavailable` when objects are to be had nowhere, `Integrity` when the remote has
    other bytes; the workspace is not touched either way.
    """
    done = Acquired()
    try:
        for (root, remote), group in _by_remote(outs).items():
            _Source(clone, root, remote, commit, progress or _silent, done).bring(group)
    except BaseException:
        for root in {out.root for out in outs}:
            clone.cache(root).put_back(done.set_aside)
        raise
    return done


@dataclass(frozen=True, slots=True)
class _Source:
    """Where one group of outs comes from: a DVC root and the remote that its outs name."""

    clone: Clone
    root: str
    remote: str | None
    commit: str
    progress: Progress
    done: Acquired

    def bring(self, outs: list[Out]) -> None:
        paths = {out.digest: out.path for out in outs if out.digest}
        cache = self.clone.cache(self.root)
        manifests = [digest for digest in paths if digest.is_dir]
        self._complete(cache, outs, {digest: paths[digest] for digest in manifests})
        named: dict[Digest, str] = {}
        for digest, path in paths.items():
            if digest.is_dir:
                manifest = cache.get_manifest(digest)
                for name, file in manifest.files.items():
                    named.setdefault(file, f"{path}/{name}")
            else:
                named.setdefault(digest, path)
        self._complete(cache, outs, named)

    def _complete(self, cache: Cache, outs: list[Out], named: dict[Digest, str]) -> None:
        """Have the objects `named` (with the paths they are for) in the cache, sound."""
        bad = [digest for digest in named if cache.has(digest) and not cache.is_sound(digest)]
        if bad:
            self.done.set_aside += cache.set_aside(bad)
        wanted = [digest for digest in named if not cache.has(digest)]
        if not wanted:
            return
        asked, failure = "on any remote", None
        for attempt in self._attempts(outs):
            asked = attempt.place if attempt.decisive else asked
            try:
                self.progress(f"fetching {len(wanted)} object{'s' * (len(wanted) != 1)} from {attempt.where}")
                attempt.run(wanted)
            except Unavailable as exc:
                failure = exc if attempt.decisive else failure
                if exc.hint.startswith("pip install"):
                    raise
            arrived = [digest for digest in wanted if cache.has(digest)]
            self._prove(cache, arrived, named, attempt.where)
            self.done.objects += len(arrived)
            self.done.bytes += sum(cache.path(digest).stat().st_size for digest in arrived)
            wanted = [digest for digest in wanted if digest not in set(arrived)]
            if not wanted:
                return
        raise self._missing(wanted, named, failure, asked)

    def _prove(self, cache: Cache, arrived: list[Digest], named: dict[Digest, str], where: str) -> None:
        """Refuse what arrived with other content than its name says."""
        bad = [digest for digest in arrived if not cache.is_sound(digest)]
        if not bad:
            return
        for digest in bad:
            path = cache.path(digest)
            os.chmod(path, 0o644)
            path.unlink()
        first = bad[0]
        raise Integrity(
            f"{where} has other bytes than {named[first]} needs (object {first.oid})",
            hint="restore that object on the remote from a clone that has it: dvc push",
        )

    def _attempts(self, outs: list[Out]) -> Iterator[_Attempt]:
        """Today's remote, then DVC's own way for imports, then the place that the commit's configuration names."""
        config = self.clone.config(self.root)
        special = tuple(out.path for out in outs if out.imported or out.versioned)
        where = config.remote_url(self.remote) or "a DVC remote"
        if config.remote_values(self.remote) or not special:
            yield _Attempt(config=config, where=where, remote=self.remote, decisive=not special)
        if special:
            yield _Attempt(config=config, where="its source", outs=special, commit=self.commit)
        location = self._location_then(config)
        if location:
            where = without_credentials(location["url"])
            yield _Attempt(config=config, where=where, location=location, decisive=False)

    def _location_then(self, config: DvcConfig) -> Mapping[str, str] | None:
        """The remote as the commit's own configuration has it, when that is another place than today's."""
        name = f"{self.root}/.dvc/config" if self.root else ".dvc/config"
        text = self.clone.catalog.text(self.commit, name)
        try:
            values = parse_config(text or b"", config.root).remote_values(self.remote)
        except ModelctlError:
            return None
        url = values.get("url", "")
        if not url or url.startswith("remote://"):
            return None
        return values if url != config.remote_values(self.remote).get("url") else None

    def _missing(
        self, wanted: list[Digest], named: dict[Digest, str], failure: Unavailable | None, asked: str
    ) -> ModelctlError:
        """What to raise for objects that came from nowhere: that failed, or they are not `asked` ("on PLACE")."""
        first = wanted[0]
        shown = named[first] + (f" and {len(wanted) - 1} more" if len(wanted) > 1 else "")
        if first in {item.digest for item in self.done.set_aside}:
            why = f"it was not fetched: {failure.message}" if failure else f"it is not {asked}"
            return Integrity(
                f"{shown}: the cached object {first.oid} holds other bytes than its name says, and {why}",
                hint="from a clone that has it: dvc push",
            )
        if failure is not None:
            return Unavailable(
                f"{shown} not fetched: {failure.message}",
                hint=failure.hint,
            )
        return Unavailable(
            f"{shown} ({first.oid}) is neither in the cache nor {asked}", hint="from a clone that has it: dvc push"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One way to get objects. A `decisive` one's failure is what the user is told."""

    config: DvcConfig
    where: str
    remote: str | None = None
    location: Mapping[str, str] | None = None
    outs: tuple[str, ...] = ()
    commit: str = ""
    decisive: bool = True

    @property
    def place(self) -> str:
        """Where one looks, in a sentence."""
        return f"{'at' if self.outs else 'on'} {self.where}"

    def run(self, wanted: list[Digest]) -> None:
        from modelctl.stores import dvc

        if self.outs:
            dvc.fetch_outs(self.config, self.commit, self.outs)
            return
        with dvc.open_remote(self.config, self.remote, location=self.location) as remote:
            failed = remote.fetch(wanted)
        broken = [reason for reason in failed.values() if reason != "not there"]
        if broken:
            raise Unavailable(
                f"the DVC remote {self.where} failed: {broken[0]}", hint="check the network and the credentials"
            )


def _by_remote(outs: Iterable[Out]) -> dict[tuple[str, str | None], list[Out]]:
    found: dict[tuple[str, str | None], list[Out]] = {}
    for out in outs:
        found.setdefault((out.root, out.remote), []).append(out)
    return found


def _silent(_: str) -> None:
    """Say nothing."""
