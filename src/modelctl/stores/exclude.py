"""Outs that a commit does not ignore, kept out of `git status` and `git add -A` by `.git/info/exclude`.

Worktrees share that file, so each has a block of its own there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelctl.stores import files
from modelctl.stores.git import Git

_MARK = "# modelctl"
_ABOUT = "tracked by DVC, and not ignored at the commit that is checked out"
_BLOCK = re.compile(
    rf"^{_MARK}(?: \(worktree (?P<name>.+)\))?: {re.escape(_ABOUT)}\n(?P<lines>(?:/.*\n)*){_MARK}: end\n", re.MULTILINE
)


def show_as_ignored(git: Git, paths: Iterable[str]) -> None:
    """Have exactly those of `paths` that Git would show as untracked in our block of the exclude file."""
    exclude = git.common_dir / "info" / "exclude"
    text = exclude.read_text(encoding="utf-8", errors="surrogateescape") if exclude.exists() else ""
    own, blocks = _split(text)
    here = "" if git.git_dir == git.common_dir else git.git_dir.name
    kept = {name: lines for name, lines in blocks.items() if name != here and _exists(git, name)}
    if blocks:
        _write(git, own)
    untracked = git.untracked_among(paths)
    if untracked:
        kept[here] = "".join(f"/{_escaped(path)}\n" for path in untracked)
    if kept:
        _write(git, f"{own.rstrip(chr(10))}\n{''.join(map(_block, kept, kept.values()))}".lstrip("\n"))


def _write(git: Git, text: str) -> None:
    exclude = git.common_dir / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    files.write_durably(exclude, text.encode(errors="surrogateescape"))


def _split(text: str) -> tuple[str, dict[str, str]]:
    """What the user wrote, and the lines of each worktree's block (the main one's name is empty)."""
    return _BLOCK.sub("", text), {match["name"] or "": match["lines"] for match in _BLOCK.finditer(text)}


def _block(name: str, lines: str) -> str:
    where = f" (worktree {name})" if name else ""
    return f"{_MARK}{where}: {_ABOUT}\n{lines}{_MARK}: end\n"


def _exists(git: Git, name: str) -> bool:
    return not name or (git.common_dir / "worktrees" / name).is_dir()


def _escaped(path: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\!# " else char for char in path)
