"""What differs between two releases."""

from __future__ import annotations

from collections.abc import Sequence

from modelctl.commands.diff import DiffResult, OutChange
from modelctl.domain.changes import FileChanges, ValueChange
from modelctl.render.figures import format_difference, format_oid, format_size, format_value
from modelctl.render.terminal import Column, Part, Screen, faint, strong, wrong


def render_diff(result: DiffResult, screen: Screen) -> None:
    """Write what changes from the old side to the new one."""
    screen.line(f"{result.old} {screen.arrow} ", strong(result.new))
    _render_outs("models", result.models, screen)
    _render_values("metrics", result.metrics, screen)
    for side, paths in result.unavailable.items():
        for path in paths:
            screen.line(wrong("unavailable: "), f"{path} at {side}", indent=1)
    _render_values("params", result.params, screen)
    _render_outs("data", result.data, screen)
    _render_hashes("dependencies", result.dependencies, screen)
    if not _differs(result):
        screen.gap()
        screen.line("nothing differs")
    for problem in result.problems:
        screen.line(wrong("not readable: "), problem)


def _differs(result: DiffResult) -> bool:
    moved = any(out.kind != "unchanged" for out in (*result.models, *result.data))
    known = not any(result.unavailable.values())
    return bool(moved or result.metrics or result.params or result.dependencies or not known)


def _render_outs(title: str, outs: Sequence[OutChange], screen: Screen) -> None:
    if not outs:
        return
    screen.section(title)
    several = len({out.model for out in outs}) > 1
    columns = [Column(""), Column(""), Column("", whole=True), Column(""), Column("", whole=True)]
    screen.table(columns, [_out_row(out, screen, several=several) for out in outs], indent=1)
    for out in outs:
        if screen.verbose and out.files:
            _render_files(out, out.files, screen)


def _out_row(out: OutChange, screen: Screen, *, several: bool) -> list[Part]:
    path = f"{out.old_path} {screen.arrow} {out.path}" if out.kind == "moved" and out.old_path else out.path
    hashes = ""
    if screen.verbose and out.kind != "unchanged":
        hashes = f"{format_oid(out.old_md5, verbose=True)} {screen.arrow} {format_oid(out.new_md5, verbose=True)}"
    return [
        f"{out.model}: {path}" if several and out.model else path,
        faint(out.kind) if out.kind == "unchanged" else _kind(out),
        _sizes(out, screen),
        _inside(out),
        faint(hashes),
    ]


def _kind(out: OutChange) -> str:
    return "moved, the same bytes" if out.kind == "moved" else out.kind


def _sizes(out: OutChange, screen: Screen) -> str:
    if out.kind in {"unchanged", "moved"}:
        return format_size(out.new_size)
    if out.kind == "added":
        return format_size(out.new_size)
    if out.kind == "removed":
        return format_size(out.old_size)
    return f"{format_size(out.old_size)} {screen.arrow} {format_size(out.new_size)}"


def _inside(out: OutChange) -> str:
    """How many files inside a directory differ."""
    if not out.directory or out.kind != "changed":
        return ""
    if out.files is None:
        return "its files are unavailable: a manifest is not in the cache"
    counts = ((len(paths), word) for word, paths in _kinds(out.files))
    return "files: " + (", ".join(f"{n} {word}" for n, word in counts if n) or "none differs")


def _kinds(files: FileChanges) -> list[tuple[str, tuple[str, ...]]]:
    return [("added", files.added), ("removed", files.removed), ("changed", files.changed)]


def _render_files(out: OutChange, files: FileChanges, screen: Screen) -> None:
    for word, paths in _kinds(files):
        for path in paths:
            screen.line(f"{out.path}/{path} {word}", indent=2)


def _render_values(title: str, changes: Sequence[ValueChange], screen: Screen) -> None:
    if not changes:
        return
    screen.section(title)
    columns = [Column(""), Column("", right=True), Column(""), Column("", right=True), Column("", right=True)]
    screen.table(columns, [_value_row(change, screen) for change in changes], indent=1)


def _value_row(change: ValueChange, screen: Screen) -> list[Part]:
    return [
        change.name,
        format_value(change.old, verbose=screen.verbose),
        screen.arrow,
        format_value(change.new, verbose=screen.verbose),
        format_difference(change.difference, verbose=screen.verbose),
    ]


def _render_hashes(title: str, changes: Sequence[ValueChange], screen: Screen) -> None:
    """What stages read, by content."""
    if not changes:
        return
    screen.section(title)
    rows: list[list[Part]] = [[c.name, _content(c.old, screen), screen.arrow, _content(c.new, screen)] for c in changes]
    screen.table([Column(""), Column(""), Column(""), Column("")], rows, indent=1)


def _content(oid: object, screen: Screen) -> str:
    return "-" if oid is None else format_oid(str(oid), verbose=screen.verbose)
