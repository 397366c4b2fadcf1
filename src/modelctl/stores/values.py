"""Metrics and params at a commit: from Git, or from the cache where DVC holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from modelctl.domain.documents import flatten, load_values
from modelctl.domain.pointers import Digest, Out
from modelctl.domain.snapshots import Snapshot
from modelctl.errors import ModelctlError
from modelctl.stores.catalog import Catalog
from modelctl.stores.objects import Cache


@dataclass(frozen=True, slots=True)
class Values:
    """Leaves by dotted name (with `FILE:` before it where two files have the same).

    `unavailable` are the files that could not be read: to say "unavailable", never "no change".
    """

    found: dict[str, Any] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()


def read_metrics(catalog: Catalog, snapshot: Snapshot, cache_of: Callable[[Out], Cache]) -> Values:
    """The metrics that `dvc.yaml` declares at the snapshot's commit."""
    return _read(catalog, snapshot, snapshot.metrics, cache_of, required=True)


def read_params(catalog: Catalog, snapshot: Snapshot, cache_of: Callable[[Out], Cache]) -> Values:
    """The params files at the snapshot's commit; one that does not exist is not missed."""
    return _read(catalog, snapshot, snapshot.params, cache_of, required=False)


def _read(
    catalog: Catalog,
    snapshot: Snapshot,
    paths: Iterable[str],
    cache_of: Callable[[Out], Cache],
    *,
    required: bool,
) -> Values:
    by_file: dict[str, dict[str, Any]] = {}
    missing = []
    for path in paths:
        try:
            data = _content(catalog, snapshot, path, cache_of)
            if data is not None:
                by_file[path] = flatten(load_values(data, name=path))
            elif required:
                missing.append(path)
        except (ModelctlError, OSError):
            missing.append(path)
    return Values(_merged(by_file), tuple(missing))


def _content(catalog: Catalog, snapshot: Snapshot, path: str, cache_of: Callable[[Out], Cache]) -> bytes | None:
    data = catalog.text(snapshot.commit, path)
    if data is not None:
        return data
    for out in snapshot.outs:
        if out.digest is None or not (out.path == path or path.startswith(out.path + "/")):
            continue
        cache = cache_of(out)
        digest: Digest | None = out.digest
        if out.digest.is_dir:
            manifest = cache.find_manifest(out.digest)
            digest = manifest.files.get(path[len(out.path) + 1 :]) if manifest else None
        if digest is not None and cache.is_sound(digest):
            return cache.path(digest).read_bytes()
    return None


def _merged(by_file: dict[str, dict[str, Any]]) -> dict[str, Any]:
    names = [name for values in by_file.values() for name in values]
    return {
        name if names.count(name) == 1 else f"{path}:{name}": value
        for path, values in by_file.items()
        for name, value in values.items()
    }
