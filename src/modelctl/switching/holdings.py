"""Whether a release's bytes can be had: from the cache, from the remote, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from modelctl.domain.manifests import parse_manifest
from modelctl.domain.pointers import Digest, Out
from modelctl.domain.snapshots import Model
from modelctl.errors import Integrity
from modelctl.stores.objects import Cache
from modelctl.switching.clone import Clone

Bytes = Literal["cached", "partly", "missing", "in git", "not restorable", "not readable"]


@dataclass(frozen=True, slots=True)
class Holding:
    """What is here of some outs. `why` explains what is not restorable or not readable."""

    state: Bytes
    why: str = ""


def find_holding(clone: Clone, models: Iterable[Model]) -> Holding:
    """Look into the cache, by name and without hashing."""
    every = tuple(models)
    problem = next((model.problem for model in every if model.problem), None)
    if problem is not None:
        return Holding("not readable", problem)
    outs = [out for model in every for out in model.outs]
    if not outs:
        return Holding("in git", "no DVC out at that commit")
    if lost := [out for out in outs if out.is_lost]:
        return Holding("not restorable", f"{lost[0].path} is {lost[0].unrestorable}")
    wanted = [out for out in outs if out.cached and out.digest is not None]
    if not wanted:
        return Holding("in git", "its outs are not cached by DVC")
    return _in_cache(clone, wanted)


def _in_cache(clone: Clone, outs: list[Out]) -> Holding:
    present = absent = 0
    for out in outs:
        cache = clone.caches(out)
        try:
            objects = cache.objects_of(out.digest) if out.digest else ()
        except Integrity as exc:
            return Holding("not readable", exc.message)
        here = sum(cache.has(digest) for digest in objects)
        present, absent = present + here, absent + len(objects) - here
    if not absent:
        return Holding("cached")
    return Holding("partly" if present else "missing")


def objects_by_remote(clone: Clone, outs: Iterable[Out]) -> dict[tuple[str, str | None], list[Digest]]:
    """The objects of `outs` whose manifests are here, by DVC root and remote."""
    found: dict[tuple[str, str | None], list[Digest]] = {}
    for out in outs:
        if out.digest is not None and out.cached:
            found.setdefault((out.root, out.remote), []).extend(clone.caches(out).objects_of(out.digest))
    return {key: list(dict.fromkeys(digests)) for key, digests in found.items()}


def sizes_on_remote(clone: Clone, outs: Iterable[Out]) -> dict[Digest, int | None]:
    """The size of each object on its remote, None where it is not there.

    A directory's manifest that is not cached is read from the remote. Raises `Unavailable`.
    """
    from modelctl.stores import dvc

    found: dict[Digest, int | None] = {}
    for (root, name), digests in objects_by_remote(clone, outs).items():
        with dvc.open_remote(clone.config(root), name) as remote:
            found |= remote.sizes(digests)
            for digest in digests:
                if digest.is_dir and found[digest] is not None and not clone.cache(root).has(digest):
                    manifest = parse_manifest(remote.read(digest), digest=digest)
                    found |= remote.sizes(manifest.files.values())
    return found


def total_size(cache: Cache, out: Out) -> int | None:
    """The bytes of an out: as its pointer says, else as the cache has it."""
    if out.size is not None or out.digest is None:
        return out.size
    if out.digest.is_dir or not cache.has(out.digest):
        return None
    return cache.path(out.digest).stat().st_size
