"""The intent: what a switch is about to do, on disk before it does it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from modelctl import faults
from modelctl.domain.pointers import Digest
from modelctl.errors import RecoveryNeeded
from modelctl.stores import files
from modelctl.switching.history import Entry, Position

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Swap:
    """One path of the switch. The slot holds what is not live: first the new, afterwards the old.

    `old` and `new` are the inode numbers of what is live before and after, None for nothing.
    """

    path: str
    slot: str
    old: int | None
    new: int | None
    early: bool
    root: str = ""
    old_digest: Digest | None = None
    new_digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Everything that finishes or undoes a switch.

    `phase` is `switching` until everything was read back (a crash before that is undone) and
    `switched` afterwards (a crash then is finished).
    """

    phase: Literal["switching", "switched"]
    entry: Entry
    swaps: tuple[Swap, ...]
    untracked: tuple[str, ...] = ()
    message: str | None = None
    commit_paths: tuple[str, ...] = ()
    format: int = _FORMAT


def write_intent(path: Path, intent: Intent) -> None:
    """Make the intent durable."""
    with faults.point(f"journal.{intent.phase}"):
        files.write_durably(path, json.dumps(asdict(intent), ensure_ascii=False).encode())


def read_intent(path: Path) -> Intent | None:
    """The intent of an unfinished switch, None when there is none."""
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise RecoveryNeeded(f"the record of an unfinished switch cannot be read: {path}") from exc
    if raw.get("format") != _FORMAT:
        raise RecoveryNeeded("an unfinished switch was begun by another version of modelctl", hint="use that version")
    entry = raw["entry"]
    entry["source"], entry["target"] = Position(**entry["source"]), Position(**entry["target"])
    entry["models"] = tuple(entry["models"])
    raw["entry"] = Entry(**entry)
    for swap in raw["swaps"]:
        for side in ("old_digest", "new_digest"):
            swap[side] = swap[side] and Digest(**swap[side])
    raw["swaps"] = tuple(Swap(**swap) for swap in raw["swaps"])
    raw["untracked"], raw["commit_paths"] = tuple(raw["untracked"]), tuple(raw["commit_paths"])
    return Intent(**raw)


def clear_intent(path: Path) -> None:
    """Forget the intent: the switch is over."""
    with faults.point("journal.clear"):
        path.unlink(missing_ok=True)
    files.sync_folder(path.parent)
