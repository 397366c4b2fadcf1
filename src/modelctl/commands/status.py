"""`status`: what is live here."""

from __future__ import annotations

from dataclasses import dataclass

from modelctl.domain.snapshots import Snapshot
from modelctl.stores.git import Git
from modelctl.switching.clone import Clone
from modelctl.switching.live import LiveModel, find_live
from modelctl.switching.transaction import is_interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model of the workspace: the release it is (None: of no release) and what differs from it."""

    model: str
    release: str | None
    tag: str | None
    same_as: tuple[str, ...]
    exact: bool
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult:
    """Where HEAD is, what is live, and a switch that is not finished."""

    head: str | None
    branch: str | None
    home: str | None
    models: tuple[ModelStatus, ...]
    problems: tuple[str, ...]
    modified: tuple[str, ...]
    unfinished: str | None
    link_types: tuple[str, ...]


def status(clone: Clone) -> StatusResult:
    """Return what is live here; reads the bytes of outs only where they may have changed."""
    snapshot = clone.workspace()
    live = find_live(clone, snapshot)
    intent = is_interrupted(clone)
    return StatusResult(
        head=clone.head.commit,
        branch=_short(clone.head.branch),
        home=_short(clone.home),
        models=tuple(_describe(item) for item in live),
        problems=tuple(f"{problem.path}: {problem.reason}" for problem in snapshot.problems),
        modified=_modified(clone.git, snapshot),
        unfinished=f"{intent.entry.verb} to {intent.entry.target.tag}" if intent else None,
        link_types=clone.config(snapshot.roots[0]).link_types if snapshot.roots else (),
    )


def _describe(item: LiveModel) -> ModelStatus:
    differences = [difference for _, difference in item.differences]
    return ModelStatus(
        model=item.model.label,
        release=item.release.label if item.release else None,
        tag=item.release.tag.name if item.release else None,
        same_as=tuple(release.tag.name for release in item.same),
        exact=item.is_exact,
        missing=tuple(path for difference in differences for path in difference.missing),
        changed=tuple(path for difference in differences for path in difference.changed),
        extra=tuple(path for difference in differences for path in difference.extra),
    )


def _modified(git: Git, snapshot: Snapshot) -> tuple[str, ...]:
    """The pointers with changes that are not committed."""
    pointers = {out.pointer for out in snapshot.outs}
    return tuple(entry.path for entry in git.status() if entry.path in pointers)


def _short(branch: str | None) -> str | None:
    return branch.removeprefix("refs/heads/") if branch else None
