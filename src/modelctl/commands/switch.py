"""`rollback`, `deploy` and `rollback --undo`: three words for one switch."""

from __future__ import annotations

from dataclasses import dataclass

from modelctl.errors import Usage
from modelctl.switching.acquire import Acquired, Progress
from modelctl.switching.clone import Clone
from modelctl.switching.history import Entry
from modelctl.switching.plan import OutStep, Request
from modelctl.switching.transaction import Switched, preview, switch


@dataclass(frozen=True, slots=True, kw_only=True)
class OutRow:
    """One out that the switch replaces, adds or removes. `size` is in bytes."""

    path: str
    action: str
    size: int | None
    md5: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchResult:
    """What a switch did, or (`dry_run`) would do.

    `source` and `target` are releases, else commits; `left` are outs whose pointers changed and whose
    bytes were not asked for; `seconds` is the time from the lock to the last read-back.
    """

    verb: str
    mode: str
    source: str
    target: str
    tag: str | None
    commit: str
    branch: str | None
    models: tuple[str, ...]
    outs: tuple[OutRow, ...]
    files: tuple[str, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...]
    reason: str
    changed: bool
    dry_run: bool
    fetched_objects: int = 0
    fetched_bytes: int = 0
    set_aside: tuple[str, ...] = ()
    to_fetch: bool = False
    seconds: float | None = None
    entry: Entry | None = None
    committed: str | None = None
    follow_up: str | None = None


def run_switch(
    clone: Clone,
    *,
    request: Request,
    dry_run: bool = False,
    wait: float = 0,
    progress: Progress | None = None,
) -> SwitchResult:
    """Do (or with `dry_run` only plan) the switch that `request` asks for.

    Raises `ModelctlError` children; nothing has changed after any of them.
    """
    _check_options(request)
    if dry_run:
        plan, steps = preview(clone, request)
        return _describe(clone, Switched(plan, None, steps, Acquired(), changed=True), dry_run=True)
    return _describe(clone, switch(clone, request, wait=wait, progress=progress))


def _check_options(request: Request) -> None:
    if request.everything and request.models_only:
        raise Usage("--all and --models-only exclude each other")
    if request.commit and not request.models_only and request.verb != "undo":
        raise Usage("--commit goes with --models-only", hint="modelctl rollback v4 --models-only --commit")
    if request.verb == "undo" and request.words:
        raise Usage("--undo takes no release", hint="modelctl rollback --undo")


def _describe(clone: Clone, done: Switched, *, dry_run: bool = False) -> SwitchResult:
    plan, entry, fetched = done.plan, done.entry, done.fetched
    return SwitchResult(
        verb=plan.request.verb,
        mode=plan.mode,
        source=plan.source.tag or plan.source.commit[:12],
        target=plan.label,
        tag=plan.target.tag or (plan.release.tag.name if plan.release else None),
        commit=plan.release.tag.commit if plan.release else plan.target.commit,
        branch=plan.target.branch,
        models=plan.models,
        outs=tuple(_row(step) for step in done.outs),
        files=tuple(c.path for c in plan.tracked) or tuple(text.path for text in plan.texts),
        left=plan.left,
        notes=plan.notes,
        reason=plan.request.reason,
        changed=done.changed,
        dry_run=dry_run,
        fetched_objects=fetched.objects,
        fetched_bytes=fetched.bytes,
        set_aside=tuple(str(item.kept) for item in fetched.set_aside),
        to_fetch=dry_run and _must_fetch(clone, done),
        seconds=entry.seconds if entry else None,
        entry=entry,
        committed=entry.committed if entry else None,
        follow_up=done.follow_up,
    )


def _must_fetch(clone: Clone, done: Switched) -> bool:
    """Whether some object that would be put in place is not in the cache."""
    new = [step.new for step in done.outs if step.new is not None]
    return any(clone.caches(out).missing([out.digest]) for out in new if out.digest)


def _row(step: OutStep) -> OutRow:
    action = "remove" if step.new is None else "add" if step.old is None else "replace"
    out = step.new or step.old
    return OutRow(
        path=step.path,
        action=action,
        size=out.size if out else None,
        md5=step.digest.oid if step.digest else None,
    )
