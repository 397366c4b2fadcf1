"""`recover`: resolve an interrupted switch, as every command does first by itself."""

from __future__ import annotations

from dataclasses import dataclass

from modelctl.switching.clone import Clone
from modelctl.switching.opening import describe_recovery
from modelctl.switching.transaction import recover as resolve


@dataclass(frozen=True, slots=True)
class RecoverResult:
    """How an interrupted switch ended; `outcome` is None when there was none."""

    outcome: str | None
    message: str
    kept: tuple[str, ...] = ()


def recover(clone: Clone, *, wait: float = 0) -> RecoverResult:
    """Undo or finish an interrupted switch. Raises `RecoveryNeeded` when that needs a decision."""
    resolved = resolve(clone, wait=wait)
    if resolved is None:
        return RecoverResult(None, "nothing to recover: no switch was interrupted")
    return RecoverResult(resolved.entry.outcome, describe_recovery(resolved), resolved.kept)
