"""`diff`: what changes between two releases, or between a release and the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelctl.domain.changes import (
    Change,
    FileChanges,
    ValueChange,
    compare_files,
    compare_outs,
    compare_values,
)
from modelctl.domain.pointers import Dependency
from modelctl.domain.releases import Release
from modelctl.domain.snapshots import Snapshot, find_models
from modelctl.stores.values import Values, read_metrics, read_params
from modelctl.switching.clone import Clone
from modelctl.switching.live import get_release


@dataclass(frozen=True, slots=True, kw_only=True)
class OutChange:
    """One out on both sides: `kind` is added, removed, changed, moved or unchanged; sizes in bytes.

    `files` counts what differs inside a directory; None when a manifest is not in the cache.
    """

    model: str | None
    kind: str
    path: str
    old_path: str | None
    old_size: int | None
    new_size: int | None
    old_md5: str | None
    new_md5: str | None
    directory: bool
    files: FileChanges | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffResult:
    """What changes from `old` to `new`. `unavailable` names metrics files that could not be read, by side."""

    old: str
    new: str
    models: tuple[OutChange, ...]
    data: tuple[OutChange, ...]
    metrics: tuple[ValueChange, ...]
    params: tuple[ValueChange, ...]
    dependencies: tuple[ValueChange, ...]
    unavailable: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]


def diff(clone: Clone, *, old: tuple[str, ...], new: tuple[str, ...] | None = None) -> DiffResult:
    """Compare two releases; without `new`, a release with the pointers of the workspace.

    Raises `NotFound` or `Usage` when a name means no release or several.
    """
    before = get_release(clone, old)
    first = clone.catalog.snapshot(before.tag.commit)
    if new is None:
        second, label = clone.workspace(), "workspace"
    else:
        after = get_release(clone, new)
        second, label = clone.catalog.snapshot(after.tag.commit), _label(clone, after)
    metrics = [read_metrics(clone.catalog, side, clone.caches) for side in (first, second)]
    params = [read_params(clone.catalog, side, clone.caches) for side in (first, second)]
    models, data = _changes(clone, first, second)
    return DiffResult(
        old=_label(clone, before),
        new=label,
        models=models,
        data=data,
        metrics=_values(metrics),
        params=_values(params),
        dependencies=_dependencies(first, second),
        unavailable={_label(clone, before): metrics[0].unavailable, label: metrics[1].unavailable},
        problems=tuple(f"{problem.path}: {problem.reason}" for problem in (*first.problems, *second.problems)),
    )


def _label(clone: Clone, release: Release) -> str:
    """A release's version, or its tag where several models have releases."""
    return release.label if len({r.model for r in clone.releases}) < 2 else release.tag.name


def _changes(clone: Clone, first: Snapshot, second: Snapshot) -> tuple[tuple[OutChange, ...], tuple[OutChange, ...]]:
    names: dict[str, str] = {}
    for side in (first, second):
        names |= {out.path: model.label for model in find_models(side, clone.settings) for out in model.outs}
    cached = [[out for out in side.outs if out.cached] for side in (first, second)]
    models: list[OutChange] = []
    data: list[OutChange] = []
    for change in compare_outs(*cached):
        name = names.get(change.path)
        (data if name is None else models).append(_describe(clone, change, name))
    return tuple(models), tuple(row for row in data if row.kind != "unchanged")


def _describe(clone: Clone, change: Change, model: str | None) -> OutChange:
    old, new = change.old, change.new
    return OutChange(
        model=model,
        kind=change.kind,
        path=change.path,
        old_path=old.path if old else None,
        old_size=old.size if old else None,
        new_size=new.size if new else None,
        old_md5=old.digest.oid if old and old.digest else None,
        new_md5=new.digest.oid if new and new.digest else None,
        directory=bool(new and new.digest and new.digest.is_dir),
        files=_files(clone, change),
    )


def _files(clone: Clone, change: Change) -> FileChanges | None:
    old, new = change.old, change.new
    if change.kind != "changed" or not (old and new and old.digest and new.digest):
        return None
    if not (old.digest.is_dir and new.digest.is_dir):
        return None
    before, after = (clone.caches(out).find_manifest(out.digest) for out in (old, new) if out.digest)
    return compare_files(before, after) if before and after else None


def _values(sides: list[Values]) -> tuple[ValueChange, ...]:
    """What differs; a value that one side cannot read is no change."""
    old, new = sides
    changes = compare_values(old.found, new.found)
    if old.unavailable or new.unavailable:
        return tuple(change for change in changes if change.old is not None and change.new is not None)
    return changes


def _dependencies(first: Snapshot, second: Snapshot) -> tuple[ValueChange, ...]:
    """What the models' stages read: data and code, by content."""
    return compare_values(_read_by(first), _read_by(second))


def _read_by(snapshot: Snapshot) -> dict[str, Any]:
    outs = {out.path for out in snapshot.outs}
    found: dict[str, Any] = {}
    for stage in snapshot.stages:
        for dependency in stage.deps:
            if dependency.path not in outs:
                found[dependency.path] = _content(dependency)
    return found


def _content(dependency: Dependency) -> str | None:
    return dependency.digest.oid if dependency.digest else None
