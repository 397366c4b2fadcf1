"""Building everything new beside the old, and stating the intent."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelctl.stores import files
from modelctl.stores.objects import build_out
from modelctl.switching.clone import Clone
from modelctl.switching.dates import now
from modelctl.switching.history import Entry
from modelctl.switching.journal import Intent, Swap, read_intent
from modelctl.switching.plan import OutStep, Plan


def stage(clone: Clone, plan: Plan, steps: tuple[OutStep, ...], folder: Path) -> Intent:
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


def _entry(clone: Clone, plan: Plan) -> Entry:
    started = now()
    return Entry(
        id=f"{started.replace('-', '').replace(':', '')}-{secrets.token_hex(3)}",
        verb=plan.request.verb,
        mode=plan.mode,
        started=started,
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


def _message(plan: Plan) -> str:
    """The commit message of a models-only switch."""
    title = f"Roll back {', '.join(plan.models)} to {plan.label}"
    if plan.request.verb != "rollback":
        title = f"Set {', '.join(plan.models)} to {plan.label}"
    return f"{title}\n\n{plan.request.reason}".strip() + "\n"


@contextlib.contextmanager
def scratch(clone: Clone) -> Iterator[Path]:
    """A folder to build in. It goes when the switch is over, and stays for recovery when it is not."""
    clear_scratch(clone)
    folder = clone.state / "switch"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        if read_intent(clone.state / "intent.json") is None:
            clear_scratch(clone)


def clear_scratch(clone: Clone) -> None:
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
