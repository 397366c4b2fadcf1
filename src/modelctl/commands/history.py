"""`history`: every switch in this clone."""

from __future__ import annotations

from dataclasses import dataclass

from modelctl.switching.clone import Clone
from modelctl.switching.history import Entry


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """The switches, newest first."""

    entries: tuple[Entry, ...]


def history(clone: Clone, *, last: int | None = None) -> HistoryResult:
    """Return the switches here, newest first; `last` limits how many."""
    return HistoryResult(tuple(reversed(clone.history))[:last])
