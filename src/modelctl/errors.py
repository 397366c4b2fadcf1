"""What can go wrong, by what the caller can do about it.

Each error is two lower-case lines: what is wrong, and one line to paste or to act on.
"""

from __future__ import annotations


class ModelctlError(Exception):
    """Something failed and nothing was changed."""

    exit_code = 1
    kind = "failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Usage(ModelctlError):
    """The words of the call cannot be meant: an ambiguous name, options that exclude each other."""

    exit_code = 2
    kind = "usage"


class NotFound(ModelctlError):
    """A release, model, tag or repository that was named does not exist."""

    kind = "not-found"


class Refused(ModelctlError):
    """Local state is in the way, and going on would lose or guess something."""

    exit_code = 3
    kind = "refused"


class Integrity(ModelctlError):
    """Content differs from what its pointer says, or a pointer is not one."""

    exit_code = 4
    kind = "integrity"


class Unavailable(ModelctlError):
    """A remote or another tool failed; `detail` keeps what it printed, without credentials."""

    kind = "unavailable"

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint=hint)
        self.detail = detail


class Locked(ModelctlError):
    """Another process is at work in this place; trying again later will do."""

    exit_code = 75
    kind = "locked"


class RecoveryNeeded(ModelctlError):
    """An interrupted switch could not be resolved without a decision of the user's."""

    exit_code = 3
    kind = "recovery-needed"
