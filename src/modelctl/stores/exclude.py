"""Outs that a commit does not ignore, kept out of `git status` and `git add -A` by `.git/info/exclude`."""

from __future__ import annotations

from collections.abc import Iterable

from modelctl.stores import files
from modelctl.stores.git import Git

_BEGIN = "# modelctl: tracked by DVC, and not ignored at the commit that is checked out"
_END = "# modelctl: end"


def show_as_ignored(git: Git, paths: Iterable[str]) -> None:
    """Have exactly those of `paths` that Git would show as untracked in our block of the exclude file."""
    exclude = git.common_dir / "info" / "exclude"
    text = exclude.read_text(encoding="utf-8", errors="surrogateescape") if exclude.exists() else ""
    own = _without_block(text)
    if own != text:
        _write(git, own)
    untracked = git.untracked_among(paths)
    if untracked:
        block = "\n".join([_BEGIN, *(f"/{_escaped(path)}" for path in untracked), _END, ""])
        _write(git, f"{own.rstrip(chr(10))}\n{block}".lstrip("\n"))


def _write(git: Git, text: str) -> None:
    exclude = git.common_dir / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    files.write_durably(exclude, text.encode(errors="surrogateescape"))


def _without_block(text: str) -> str:
    before, begin, rest = text.partition(_BEGIN + "\n")
    if not begin:
        return text
    _, _, after = rest.partition(_END + "\n")
    return before + after


def _escaped(path: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\!# " else char for char in path)
