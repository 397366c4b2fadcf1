"""What must not come in between two steps of a switch: signals, and DVC."""

from __future__ import annotations

import contextlib
import fcntl
import signal
from collections.abc import Iterator
from types import FrameType

from modelctl.errors import Locked
from modelctl.switching.clone import Clone
from modelctl.switching.journal import Intent


@contextlib.contextmanager
def deferred_signals() -> Iterator[list[int]]:
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
def dvc_lock(clone: Clone, intent: Intent) -> Iterator[None]:
    """Keep DVC commands out of the roots that are switched, by the lock that they take themselves."""
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
