"""What is said of an error: two lower-case lines, and an exit code."""

from __future__ import annotations

import errno
import os
import traceback
from dataclasses import dataclass

from modelctl import __version__
from modelctl.errors import ModelctlError

_OS_HINTS = {
    errno.ENOSPC: "free some space, and again",
    errno.EDQUOT: "the quota is used up: free some space, and again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong. `detail` may have many lines and is shown for bugs and with `--verbose`."""

    kind: str
    message: str
    hint: str
    exit_code: int
    detail: str = ""

    def lines(self, *, verbose: bool) -> str:
        """What standard error gets."""
        is_bug = self.kind == "bug"
        said = [f"error: {self.message}", *([f"hint: {self.hint}"] if self.hint else [])]
        if self.detail and is_bug:
            said.insert(0, self.detail)
        elif self.detail and verbose:
            said.append(self.detail)
        return "\n".join(said)


def describe_error(exc: Exception) -> Failure:
    """Return what is said of any exception; one that nobody expected is a bug of ours."""
    if isinstance(exc, ModelctlError):
        detail = getattr(exc, "detail", "")
        return Failure(
            kind=exc.kind,
            message=_one_line(exc.message),
            hint=_one_line(exc.hint),
            exit_code=exc.exit_code,
            detail=detail,
        )
    trace = "".join(traceback.format_exception(exc)).rstrip()
    if isinstance(exc, OSError):
        hint = _OS_HINTS.get(exc.errno or 0, "")
        return Failure(kind="failed", message=_os_message(exc), hint=hint, exit_code=1, detail=trace)
    return Failure(
        kind="bug",
        message=_one_line(f"this is a bug in modelctl {__version__}: {type(exc).__name__}: {exc}"),
        hint="report it to the maintainers of modelctl, with the lines above",
        exit_code=70,
        detail=trace,
    )


def lowered(text: str) -> str:
    """A sentence of another tool in our style: it begins small and ends without a point."""
    bare = text.strip().rstrip(".")
    return f"{bare[:1].lower()}{bare[1:]}"


def _os_message(exc: OSError) -> str:
    said = lowered(exc.strerror or str(exc) or type(exc).__name__)
    known = isinstance(exc.filename, str | bytes | os.PathLike)
    return _one_line(f"{said}: {os.fsdecode(exc.filename)}" if known else said)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
