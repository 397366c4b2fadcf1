"""Named fault points: where a mutation happens, a test can stop the process.

`MODELCTL_FAULT=files.exchange:before:2` kills this process with SIGKILL just before the second
exchange of a switch. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator

_PLAN = os.environ.get("MODELCTL_FAULT", "")
_seen: dict[str, int] = {}


@contextlib.contextmanager
def point(name: str) -> Iterator[None]:
    """Mark the mutation inside the `with` block as the fault point `name`."""
    if _PLAN:
        _reach(name, "before")
    yield
    if _PLAN:
        _reach(name, "after")


def _reach(name: str, when: str) -> None:
    """Act when the plan `NAME:WHEN[:COUNT[:ACTION]]` names this moment."""
    key = f"{name}:{when}"
    _seen[key] = _seen.get(key, 0) + 1
    if trace := os.environ.get("MODELCTL_FAULT_TRACE"):
        with open(trace, "a", encoding="utf-8") as file:
            file.write(f"{key}:{_seen[key]}\n")
    parts = _PLAN.split(":")
    wanted, count = ":".join(parts[:2]), int(parts[2]) if len(parts) > 2 else 1
    if key == wanted and _seen[key] == count:
        _act(parts[3] if len(parts) > 3 else "KILL", name)


def _act(action: str, name: str) -> None:
    if action in {"KILL", "TERM", "INT"}:
        os.kill(os.getpid(), getattr(signal, f"SIG{action}"))
        return
    code = getattr(errno, action)
    raise OSError(code, os.strerror(code), name)
