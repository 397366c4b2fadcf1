"""LOCK → RECOVER → PLAN → PREFLIGHT → FETCH → STAGE → INTENT → SWITCH → VERIFY → RECORD, in a clone."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from modelctl.errors import Integrity, Locked, ModelctlError
from modelctl.stores import exclude, files
from modelctl.stores.objects import build_out, compare_workspace, list_files
from modelctl.switching import acts
from modelctl.switching.acquire import Acquired, Progress, acquire
from modelctl.switching.clone import Clone
from modelctl.switching.commit import commit_pointers
from modelctl.switching.dvc_memory import share_with_cache_of_then, tell_dvc
from modelctl.switching.history import Entry, Outcome, append_entry
from modelctl.switching.journal import Intent, Swap, clear_intent, read_intent, write_intent
from modelctl.switching.plan import OutStep, Plan, Request, make_plan
from modelctl.switching.preflight import check_plan, check_space, note_tag


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
        with _scratch(clone) as folder:
            intent = _stage(clone, plan, steps, folder)
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
        _clear_scratch(clone)
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
    with _deferred_signals() as stopped, _dvc_lock(clone, intent):
        write_intent(path, intent)
        try:
            acts.switch_forward(clone.git, intent, folder)
            _verify(clone, intent)
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
        _keep_old_objects(clone, swap)
    share_with_cache_of_then(clone, intent.swaps)
    tell_dvc(clone, intent.swaps)
    return _close(clone, intent, outcome=outcome), follow_up


def _close(clone: Clone, intent: Intent, *, outcome: Outcome, note: str = "") -> Entry:
    """Write the history entry, remove what is not live, forget the intent."""
    entry = replace(intent.entry, outcome=outcome, note=note or intent.entry.note)
    if not entry.finished:
        entry = replace(entry, finished=_now())
    append_entry(clone.history_file, entry)
    for swap in intent.swaps:
        files.remove_tree(Path(swap.slot))
    clear_intent(clone.state / "intent.json")
    return entry


def _stage(clone: Clone, plan: Plan, steps: tuple[OutStep, ...], folder: Path) -> Intent:
    """Build everything new beside the old, and state the intent."""
    swaps = [_stage_out(clone, plan, step, folder / f"out{n}") for n, step in enumerate(steps)]
    for n, text in enumerate(plan.texts):
        slot = folder / f"text{n}"
        live = clone.git.top / text.path
        if text.new is not None:
            clone.git.store(text.new)
            files.write_durably(slot, text.new)
        new = files.identity(slot)
        swaps.append(Swap(text.path, str(slot), files.identity(live), new, early=True))
    files.sync_folder(folder)
    outs = (step.path for step in plan.outs)
    return Intent(
        phase="switching",
        entry=_entry(clone, plan),
        swaps=tuple(swaps),
        untracked=tuple(sorted({*outs, *plan.left})),
        message=_message(plan) if plan.request.commit and plan.texts else None,
        commit_paths=tuple(text.path for text in plan.texts),
    )


def _stage_out(clone: Clone, plan: Plan, step: OutStep, slot: Path) -> Swap:
    live = clone.git.top / step.path
    if files.device_of(live) != files.device_of(slot):
        slot = live.with_name(f".{live.name}.modelctl-new")
        files.append_durably(_slot_list(clone), os.fsencode(slot))
        files.remove_tree(slot)
        slot.parent.mkdir(parents=True, exist_ok=True)
    if step.new is not None and step.new.digest is not None:
        kinds = clone.config(step.root).link_types
        beside = live if kinds[0] in {"reflink", "copy"} and live.is_dir() and not live.is_symlink() else None
        build_out(clone.cache(step.root), step.new.digest, slot, kinds, executable=step.new.executable, beside=beside)
    old = None if _is_left_by_git(plan, step) else files.identity(live)
    return Swap(
        path=step.path,
        slot=str(slot),
        old=old,
        new=files.identity(slot),
        early=old is not None,
        root=step.root,
        old_digest=step.old.digest if step.old else None,
        new_digest=step.digest,
    )


def _is_left_by_git(plan: Plan, step: OutStep) -> bool:
    """Whether Git has files at the step's path until it leaves them to the out: the out comes after Git then."""
    return step.old is None and any(
        change.old_mode != "000000" and (change.path == step.path or change.path.startswith(step.path + "/"))
        for change in plan.tracked
    )


def _verify(clone: Clone, intent: Intent) -> None:
    """Read back what was done; raises `Integrity` when it is not what was meant."""
    target = intent.entry.target
    if not acts.is_at(clone.git, target):
        raise Integrity(f"HEAD is not at {target.tag or target.commit[:12]} after the switch")
    for swap in intent.swaps:
        live = clone.git.top / swap.path
        if files.identity(live) != swap.new and not (swap.new is None and clone.git.tracked_among([swap.path])):
            raise Integrity(f"{swap.path} is not what was put there")
        if swap.new_digest is not None:
            _note_live(clone, swap)
            if compare_workspace(clone.cache(swap.root), live, swap.new_digest, shown=swap.path):
                raise Integrity(f"{swap.path} does not hold the release's bytes")


def _note_live(clone: Clone, swap: Swap) -> None:
    """Remember what the copies that were just put in place hold, so that nobody hashes them again."""
    if swap.new_digest is None:
        return
    live, cache = clone.git.top / swap.path, clone.cache(swap.root)
    if not swap.new_digest.is_dir:
        _note_copy(clone, live, cache.path(swap.new_digest), swap)
        return
    manifest = cache.find_manifest(swap.new_digest)
    for name, digest in manifest.files.items() if manifest else ():
        _note_copy(clone, live / name, cache.path(digest), replace(swap, new_digest=digest))


def _note_copy(clone: Clone, path: Path, stored: Path, swap: Swap) -> None:
    if swap.new_digest is None or path.is_symlink() or not path.is_file():
        return
    found, original = path.stat(), stored.stat() if stored.exists() else None
    if original is None or (found.st_ino, found.st_size) == (original.st_ino, original.st_size):
        return
    if clone.known.was_noted(found, swap.new_digest):
        clone.known.note(path, swap.new_digest)


def _keep_old_objects(clone: Clone, swap: Swap) -> None:
    """Give the cache whatever of the old bytes it lacks, before they are removed."""
    slot, digest, cache = Path(swap.slot), swap.old_digest, clone.cache(swap.root)
    if digest is None or not os.path.lexists(slot) or slot.is_symlink():
        return
    if not digest.is_dir:
        if not cache.has(digest) and slot.is_file() and clone.known.has(slot, digest):
            cache.adopt(slot, digest)
        return
    manifest = cache.find_manifest(digest)
    for name in list_files(slot) if manifest and slot.is_dir() else ():
        file = manifest.files.get(name) if manifest else None
        if file is not None and not cache.has(file) and clone.known.has(slot / name, file):
            cache.adopt(slot / name, file)


def _has_work(clone: Clone, plan: Plan, steps: tuple[OutStep, ...]) -> bool:
    return bool(steps or plan.texts or (plan.mode == "checkout" and not acts.is_at(clone.git, plan.target)))


def _pointer_commit(plan: Plan) -> str:
    """The commit that the plan's pointers are from."""
    if plan.release is not None and plan.undoes is None:
        return plan.release.tag.commit
    return plan.undoes.source.commit if plan.undoes else plan.target.commit


def _entry(clone: Clone, plan: Plan) -> Entry:
    now = _now()
    return Entry(
        id=f"{now.replace('-', '').replace(':', '')}-{secrets.token_hex(3)}",
        verb=plan.request.verb,
        mode=plan.mode,
        started=now,
        finished="",
        seconds=0.0,
        who=clone.who(),
        reason=plan.request.reason,
        source=plan.source,
        target=replace(plan.target, tag=plan.release.tag.name if plan.release else plan.target.tag),
        home=plan.home,
        models=plan.models,
        everything=plan.request.everything,
        outcome="done",
        undoes=plan.undoes.id if plan.undoes else None,
    )


def _timed(entry: Entry, began: float) -> Entry:
    return replace(entry, finished=_now(), seconds=round(time.monotonic() - began, 3))


def _message(plan: Plan) -> str:
    """The commit message of a models-only switch."""
    title = f"Roll back {', '.join(plan.models)} to {plan.label}"
    if plan.request.verb != "rollback":
        title = f"Set {', '.join(plan.models)} to {plan.label}"
    return f"{title}\n\n{plan.request.reason}".strip() + "\n"


@contextlib.contextmanager
def _scratch(clone: Clone) -> Iterator[Path]:
    """A folder to build in. It goes when the switch is over, and stays for recovery when it is not."""
    _clear_scratch(clone)
    folder = clone.state / "switch"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        if read_intent(clone.state / "intent.json") is None:
            _clear_scratch(clone)


def _clear_scratch(clone: Clone) -> None:
    """Remove what a switch that never came to its intent has built: nothing of it is live."""
    with contextlib.suppress(FileNotFoundError):
        for line in _slot_list(clone).read_bytes().splitlines():
            files.remove_tree(Path(os.fsdecode(line)))
    files.remove_tree(clone.state / "switch")
    for left in clone.state.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def _slot_list(clone: Clone) -> Path:
    """The file that names what is built outside the scratch folder, on other file systems."""
    return clone.state / "switch" / "beside"


@contextlib.contextmanager
def _deferred_signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM instead of being interrupted between two steps; the list says which came."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        yield came
        return
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _dvc_lock(clone: Clone, intent: Intent) -> Iterator[None]:
    """Keep DVC commands out of the roots that are switched, by the lock that they take themselves."""
    import fcntl

    with contextlib.ExitStack() as held:
        for root in sorted({swap.root for swap in intent.swaps if swap.new_digest or swap.old_digest}):
            folder = clone.git.top / root / ".dvc" / "tmp"
            if not folder.is_dir():
                continue
            file = held.enter_context(open(folder / "lock", "a", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise Locked("dvc is at work in this repository", hint="try again when it is done") from exc
        yield


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


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
