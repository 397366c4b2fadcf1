"""LOCK → RECOVER → PLAN → PREFLIGHT → FETCH → STAGE → INTENT → SWITCH → VERIFY → RECORD, in a clone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from modelctl.errors import ModelctlError
from modelctl.stores import exclude, files
from modelctl.stores.objects import list_files
from modelctl.switching import acts
from modelctl.switching.acquire import Acquired, Progress, acquire
from modelctl.switching.clone import Clone
from modelctl.switching.commit import commit_pointers
from modelctl.switching.dates import now
from modelctl.switching.dvc_memory import share_with_cache_of_then, tell_dvc
from modelctl.switching.guards import deferred_signals, dvc_lock
from modelctl.switching.history import Entry, Outcome, append_entry
from modelctl.switching.journal import Intent, clear_intent, read_intent, write_intent
from modelctl.switching.plan import OutStep, Plan, Request, make_plan
from modelctl.switching.preflight import check_plan, check_space, note_tag
from modelctl.switching.readback import keep_old_objects, read_back
from modelctl.switching.staging import clear_scratch, scratch, stage


@dataclass(frozen=True, slots=True)
class Switched:
    """What a switch did. `changed` is False when everything was there already."""

    plan: Plan
    entry: Entry | None
    outs: tuple[OutStep, ...]
    fetched: Acquired
    changed: bool
    follow_up: str | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """An interrupted switch and how it was resolved."""

    entry: Entry
    kept: tuple[str, ...] = ()


def preview(clone: Clone, request: Request) -> tuple[Plan, tuple[OutStep, ...]]:
    """The plan and the outs whose bytes would change; writes nothing, and refuses what `switch` would."""
    plan = make_plan(clone, request)
    steps = check_plan(clone, plan)
    check_space(clone, steps)
    return plan, steps


def switch(clone: Clone, request: Request, *, wait: float = 0, progress: Progress | None = None) -> Switched:
    """Make a release live: completely, or nothing has changed.

    Raises `ModelctlError` children; after each of them the clone is as it was before.
    """
    with clone.lock(wait=wait):
        recover_locked(clone)
        began = time.monotonic()
        plan = make_plan(clone, request)
        steps = check_plan(clone, plan)
        check_space(clone, steps)
        new = [step.new for step in steps if step.new is not None]
        fetched = acquire(clone, new, commit=_pointer_commit(plan), progress=progress)
        if not _has_work(clone, plan, steps):
            note_tag(clone, plan)
            return Switched(plan, None, (), fetched, changed=False)
        with scratch(clone) as folder:
            intent = stage(clone, plan, steps, folder)
            entry, follow_up = _perform(clone, plan, intent, began)
        return Switched(plan, entry, steps, fetched, changed=True, follow_up=follow_up)


def recover(clone: Clone, *, wait: float = 0) -> Recovered | None:
    """Resolve an interrupted switch: undo it, or finish it when it was already read back. None if there is none."""
    with clone.lock(wait=wait):
        return recover_locked(clone)


def is_interrupted(clone: Clone) -> Intent | None:
    """The intent of a switch that is unfinished (under way, if another process holds the lock)."""
    return read_intent(clone.state / "intent.json")


def recover_locked(clone: Clone) -> Recovered | None:
    """`recover`, for a caller that holds the lock."""
    folder, path = clone.state / "switch", clone.state / "intent.json"
    intent = read_intent(path)
    if intent is None:
        clear_scratch(clone)
        return None
    if intent.phase == "switched":
        entry = _finish(clone, intent, outcome="recovered")[0]
    else:
        acts.switch_back(clone.git, intent, folder)
        entry = _close(clone, intent, outcome="undone")
    kept = _move_kept(clone, folder, intent)
    files.remove_tree(folder)
    clone.refresh()
    return Recovered(entry, kept)


def _perform(clone: Clone, plan: Plan, intent: Intent, began: float) -> tuple[Entry, str | None]:
    """The switch itself. What fails after everything was read back is a follow-up, not a failure."""
    path, folder = clone.state / "intent.json", clone.state / "switch"
    with deferred_signals() as stopped, dvc_lock(clone, intent):
        write_intent(path, intent)
        try:
            acts.switch_forward(clone.git, intent, folder)
            read_back(clone, intent)
            if stopped:
                raise KeyboardInterrupt
        except BaseException as exc:
            acts.switch_back(clone.git, intent, folder)
            _move_kept(clone, folder, intent)
            _close(clone, intent, outcome="failed", note=_account(exc))
            if stopped:
                raise KeyboardInterrupt from exc
            raise
        intent = replace(intent, phase="switched", entry=_timed(intent.entry, began))
        write_intent(path, intent)
        try:
            done = _finish(clone, intent, outcome="done")
            note_tag(clone, plan)
        except (OSError, ModelctlError) as exc:
            return intent.entry, f"the switch is done and its record is not: {_account(exc)}; modelctl recover"
        return done


def _finish(clone: Clone, intent: Intent, *, outcome: Outcome) -> tuple[Entry, str | None]:
    """What remains after the switch was read back: commit, old bytes, bookkeeping, history."""
    follow_up = None
    exclude.show_as_ignored(clone.git, intent.untracked)
    if intent.message is not None and intent.entry.committed is None:
        try:
            committed = commit_pointers(clone.git, intent.commit_paths, intent.message)
            intent = replace(intent, entry=replace(intent.entry, committed=committed))
        except ModelctlError as exc:
            follow_up = f"the pointers are switched and not committed: {exc.message}"
    for swap in intent.swaps:
        keep_old_objects(clone, swap)
    share_with_cache_of_then(clone, intent.swaps)
    tell_dvc(clone, intent.swaps)
    return _close(clone, intent, outcome=outcome), follow_up


def _close(clone: Clone, intent: Intent, *, outcome: Outcome, note: str = "") -> Entry:
    """Write the history entry, remove what is not live, forget the intent."""
    entry = replace(intent.entry, outcome=outcome, note=note or intent.entry.note)
    if not entry.finished:
        entry = replace(entry, finished=now())
    append_entry(clone.history_file, entry)
    for swap in intent.swaps:
        files.remove_tree(Path(swap.slot))
    clear_intent(clone.state / "intent.json")
    return entry


def _has_work(clone: Clone, plan: Plan, steps: tuple[OutStep, ...]) -> bool:
    return bool(steps or plan.texts or (plan.mode == "checkout" and not acts.is_at(clone.git, plan.target)))


def _pointer_commit(plan: Plan) -> str:
    """The commit that the plan's pointers are from."""
    if plan.release is not None and plan.undoes is None:
        return plan.release.tag.commit
    return plan.undoes.source.commit if plan.undoes else plan.target.commit


def _timed(entry: Entry, began: float) -> Entry:
    return replace(entry, finished=now(), seconds=round(time.monotonic() - began, 3))


def _move_kept(clone: Clone, folder: Path, intent: Intent) -> tuple[str, ...]:
    """Keep the files that somebody changed during an interrupted switch where they can be found."""
    kept = folder / "kept"
    if not kept.is_dir():
        return ()
    place = clone.state / "kept" / intent.entry.id
    place.parent.mkdir(parents=True, exist_ok=True)
    files.rename(kept, place)
    return tuple(str(place / name) for name in sorted(list_files(place)))


def _account(exc: BaseException) -> str:
    if isinstance(exc, ModelctlError):
        return exc.message
    return "interrupted" if isinstance(exc, KeyboardInterrupt) else f"{type(exc).__name__}: {exc}"
