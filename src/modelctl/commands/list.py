"""`list`: the releases, newest version first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelctl.domain.documents import is_number
from modelctl.domain.pointers import Digest
from modelctl.domain.releases import Release, sort_releases
from modelctl.domain.settings import Settings
from modelctl.domain.snapshots import Model
from modelctl.errors import ModelctlError, NotFound
from modelctl.stores.values import Values, read_metrics
from modelctl.switching.clone import Clone
from modelctl.switching.dates import iso_date
from modelctl.switching.holdings import Holding, find_holding, sizes_on_remote, total_size
from modelctl.switching.live import find_live, models_of_release

_HEADLINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One release. `size` is in bytes, `date` in ISO 8601 UTC; `bytes` says what the cache has.

    `live` is `yes`, `modified` (its pointers, other bytes) or empty; `remote` is `complete`, `partly`,
    `missing`, or None when it was not asked.
    """

    model: str | None
    version: str
    tag: str
    commit: str
    date: str
    author: str
    size: int | None
    metrics: dict[str, Any] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()
    live: str = ""
    bytes: str
    why: str = ""
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class ListResult:
    """The releases, and the names of their headline metrics."""

    releases: tuple[ReleaseRow, ...]
    metrics: tuple[str, ...]
    note: str = ""


def list_releases(clone: Clone, *, model: str | None = None, remote: bool = False) -> ListResult:
    """Return the releases (of one model, if named); `remote` also asks the DVC remote for their objects.

    Raises `NotFound` for a model that has no release.
    """
    found = sort_releases(release for release in clone.releases if model in {None, release.model})
    if model is not None and not found:
        known = sorted({release.model for release in clone.releases if release.model})
        raise NotFound(f"no release of {model}", hint=f"models with releases: {', '.join(known) or 'none'}")
    live = _live_tags(clone)
    rows = tuple(describe_release(clone, release, live=live, remote=remote) for release in found)
    return ListResult(rows, headline_names(clone.settings, rows), _note(clone, found))


def describe_release(
    clone: Clone, release: Release, *, live: dict[str, str] | None = None, remote: bool = False
) -> ReleaseRow:
    """Return the row of one release; what cannot be read of it is said in the row, not raised."""
    models: tuple[Model, ...] = ()
    values = Values()
    try:
        models = models_of_release(clone, release)
        holding = find_holding(clone, models)
        values = read_metrics(clone.catalog, clone.catalog.snapshot(release.tag.commit), clone.caches)
    except NotFound as exc:
        holding = Holding("not restorable", exc.message)
    except ModelctlError as exc:
        holding = Holding("not readable", exc.message)
    sizes = [total_size(clone.caches(out), out) for model in models for out in model.outs if out.cached]
    return ReleaseRow(
        model=release.model,
        version=release.label,
        tag=release.tag.name,
        commit=release.tag.commit,
        date=iso_date(release.tag.date),
        author=release.tag.author,
        size=sum(size or 0 for size in sizes) if sizes and None not in sizes else None,
        metrics=values.found,
        unavailable=values.unavailable,
        live=(live or {}).get(release.tag.name, ""),
        bytes=holding.state,
        why=holding.why,
        remote=_remote_state(clone, models) if remote and holding.state in {"cached", "partly", "missing"} else None,
    )


def headline_names(settings: Settings, rows: tuple[ReleaseRow, ...]) -> tuple[str, ...]:
    """The metrics worth a column: those in the settings, else the first few numbers."""
    if settings.metrics:
        return settings.metrics
    names: dict[str, None] = {}
    for row in rows:
        plain = [name for name, value in row.metrics.items() if is_number(value) and "." not in name]
        nested = [name for name, value in row.metrics.items() if is_number(value)]
        names |= dict.fromkeys(plain or nested)
    return tuple(names)[:_HEADLINES]


def _live_tags(clone: Clone) -> dict[str, str]:
    """The tags that are live here, and whether exactly."""
    if clone.git.bare or clone.head.commit is None:
        return {}
    try:
        live = find_live(clone, clone.workspace())
    except ModelctlError:
        return {}
    return {item.release.tag.name: "yes" if item.is_exact else "modified" for item in live if item.release}


def _remote_state(clone: Clone, models: tuple[Model, ...]) -> str:
    sizes: dict[Digest, int | None] = sizes_on_remote(clone, [out for model in models for out in model.outs])
    there = [size for size in sizes.values() if size is not None]
    return "complete" if len(there) == len(sizes) else "partly" if there else "missing"


def _note(clone: Clone, found: list[Release]) -> str:
    if found:
        return "this clone is shallow and may lack releases: git fetch --tags" if clone.git.shallow else ""
    if not clone.tags:
        where = "this shallow clone" if clone.git.shallow else "this clone"
        return f"{where} has no tags: git fetch --tags, or make a first release: modelctl release v1"
    return (
        f"none of the {len(clone.tags)} tags is a release by name; any tag can be named in full, "
        'or set tag_format in modelctl.toml, such as tag_format = "v{version}"'
    )
