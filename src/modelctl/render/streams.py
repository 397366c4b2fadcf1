"""Standard output and standard error as they really are: closed, full, in another encoding."""

from __future__ import annotations

import contextlib
import os
import sys

from modelctl.domain.paths import printable


def prepare_output() -> None:
    """Have every string printable: names that are not UTF-8 as their bytes, the rest as escapes."""
    change = getattr(sys.stdout, "reconfigure", None)
    if change is not None:
        utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        change(errors="surrogateescape" if utf8 else "backslashreplace")


def say(text: str) -> None:
    """Write lines to standard error, made harmless; that nobody can read them stops nothing."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("".join(f"{printable(line)}\n" for line in text.split("\n")))
        sys.stderr.flush()


def write_result(text: str) -> None:
    """Write a result to standard output; a reader that has gone away has seen enough.

    Raises `OSError` when it cannot be written, as on a full disk.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as exc:
        _discard_the_rest()
        if not isinstance(exc, BrokenPipeError):
            raise


def _discard_the_rest() -> None:
    """What is left in the buffer must not fail once more when Python exits."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
