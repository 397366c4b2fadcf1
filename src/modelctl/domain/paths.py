"""Paths that a repository names: untrusted until parsed here."""

from __future__ import annotations

import posixpath
import re
import shlex
import unicodedata

from modelctl.errors import Integrity

_DRIVE = re.compile(r"[A-Za-z]:")
_RESERVED = {".git", ".dvc"}


def parse_path(text: str, *, base: str = "", what: str = "path") -> str:
    """Return `text`, taken from the folder `base`, as a POSIX path below the repository's top.

    Raises `Integrity` for a path that is absolute, leaves the repository, enters `.git` or `.dvc`
    in any spelling of case, or holds a backslash or a control or bidirectional character.
    """
    if not text or text.startswith("/") or _DRIVE.match(text) or "\\" in text:
        raise Integrity(f"{what} {printable(text)!r} is not a relative path inside the repository")
    if has_control(text):
        raise Integrity(f"{what} {printable(text)!r} holds a control or bidirectional character")
    joined = posixpath.normpath(posixpath.join(base, text))
    parts = joined.split("/")
    if joined == "." or parts[0] == "..":
        raise Integrity(f"{what} {printable(text)!r} leaves the repository")
    for part in parts:
        if _folded(part) in _RESERVED:
            raise Integrity(f"{what} {printable(text)!r} enters {part}")
    return joined


def parse_entry(text: str) -> tuple[str, ...]:
    """Return the parts of a path inside a tracked directory; raises `Integrity` like `parse_path`.

    Unlike there, `.` and `..` are refused outright and nothing is normalised.
    """
    parts = tuple(text.split("/"))
    if any(part in {"", ".", ".."} for part in parts):
        raise Integrity(f"manifest entry {printable(text)!r} is not a plain relative path")
    parse_path(text, what="manifest entry")
    return parts


def has_control(text: str) -> bool:
    """Whether `text` holds a control, format (zero-width, bidirectional) or surrogate character."""
    return (
        not text.isascii() and any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
    ) or any(char < " " or char == "\x7f" for char in text)


def printable(text: str) -> str:
    """Return `text` with every control, format and surrogate character shown as an escape."""
    if not has_control(text):
        return text
    return "".join(char.encode("unicode_escape").decode("ascii") if has_control(char) else char for char in text)


def quoted(text: str) -> str:
    """Return `text` as one word for a shell: what a hint says is there to be pasted."""
    return shlex.quote(printable(text))


def _folded(part: str) -> str:
    """Fold case, trailing dots and spaces and ignorable characters, as lenient file systems do."""
    visible = "".join(char for char in part if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", visible).casefold().rstrip(". ")
