"""Opening a clone for a command: an interrupted switch is resolved first, by whoever comes next."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from modelctl.errors import Locked, ModelctlError
from modelctl.switching.clone import Clone
from modelctl.switching.transaction import Recovered, is_interrupted, recover

Say = Callable[[str], None]


@contextlib.contextmanager
def open_clone(path: Path, *, say: Say | None = None) -> Iterator[Clone]:
    """Open the clone that holds `path`. `say` is told when an interrupted switch was resolved.

    While another process is switching, the clone is opened as it stands.
    """
    with Clone(path) as clone:
        if is_interrupted(clone) is not None or (clone.state / "switch").exists():
            _resolve(clone, say)
        yield clone


def _resolve(clone: Clone, say: Say | None) -> None:
    """Resolve an interrupted switch; where that cannot be done now, say so and let the command look around.

    A command that changes something tries again itself, and fails.
    """
    try:
        resolved = recover(clone)
    except Locked:
        return
    except (ModelctlError, OSError) as exc:
        if say is not None:
            say(f"an interrupted switch cannot be resolved yet: {exc}")
        return
    if resolved is not None and say is not None:
        say(describe_recovery(resolved))


def describe_recovery(resolved: Recovered) -> str:
    """One line on how an interrupted switch ended."""
    entry = resolved.entry
    target = entry.target.tag or entry.target.commit[:12]
    source = entry.source.tag or entry.source.commit[:12]
    how = f"finished: {target} is live" if entry.outcome == "recovered" else f"undone: {source} is live"
    kept = f"; files changed meanwhile are kept in {resolved.kept[0].rpartition('/')[0]}" if resolved.kept else ""
    return f"an interrupted {entry.verb} to {target} was {how}{kept}"
