"""History: every switch in a place, one JSON object a line, append-only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from modelctl.stores import files

Outcome = Literal["done", "recovered", "undone", "failed"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a clone was: a commit, the branch that HEAD was on (None: detached), the release that was live."""

    commit: str
    branch: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One switch: who, when (UTC, ISO 8601), why, from, to, how long (seconds), and how it ended.

    `outcome` is `done`; `recovered` when a later command finished an interrupted switch; `undone` when it
    was taken back; `failed` when the switch took itself back. `home` is the branch that was left.
    """

    id: str
    verb: str
    mode: str
    started: str
    finished: str
    seconds: float
    who: str
    reason: str
    source: Position
    target: Position
    home: str | None
    models: tuple[str, ...]
    everything: bool
    outcome: Outcome
    undoes: str | None = None
    committed: str | None = None
    note: str = ""

    @property
    def happened(self) -> bool:
        """Whether the target was live afterwards."""
        return self.outcome in {"done", "recovered"}


def load_history(path: Path) -> list[Entry]:
    """Every entry, oldest first; a line that a crash tore is left out."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [entry for line in lines if line and (entry := _parse(line)) is not None]


def append_entry(path: Path, entry: Entry) -> None:
    """Add an entry durably, once: an entry whose id is there already is not added again."""
    if any(known.id == entry.id for known in load_history(path)):
        return
    files.append_durably(path, json.dumps(asdict(entry), ensure_ascii=False).encode())


def last_undoable(entries: Iterable[Entry]) -> Entry | None:
    """The newest switch that happened and was not undone since; an undo itself is not undone."""
    undone: set[str | None] = set()
    for entry in reversed(list(entries)):
        if not entry.happened:
            continue
        if entry.verb == "undo":
            undone.add(entry.undoes)
        elif entry.id not in undone:
            return entry
    return None


def left_by_rollback(entries: Iterable[Entry]) -> set[str]:
    """The releases that a rollback left and nothing made live again since: presumed bad."""
    left: set[str] = set()
    for entry in entries:
        if not entry.happened:
            continue
        if entry.verb == "rollback" and entry.source.tag:
            left.add(entry.source.tag)
        left.discard(entry.target.tag or "")
    return left


def _parse(line: bytes) -> Entry | None:
    try:
        raw = json.loads(line)
        raw["source"], raw["target"] = Position(**raw["source"]), Position(**raw["target"])
        raw["models"] = tuple(raw["models"])
        return Entry(**raw)
    except (ValueError, TypeError, KeyError):
        return None
