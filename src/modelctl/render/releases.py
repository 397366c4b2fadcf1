"""Releases: listed, shown, made, fetched, verified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelctl.commands.fetch import FetchedRelease, FetchResult
from modelctl.commands.list import ListResult, ReleaseRow
from modelctl.commands.path import PathResult
from modelctl.commands.release import ReleaseResult
from modelctl.commands.show import PointerRow, ShowResult, StageRow
from modelctl.commands.verify import VerifiedRelease, VerifyResult
from modelctl.render.figures import count, format_metric, format_oid, format_size, format_time, format_value
from modelctl.render.terminal import Column, Part, Screen, faint, live, strong, wrong


def render_list(result: ListResult, screen: Screen) -> None:
    """Write the releases as a table, newest version first."""
    if not result.releases:
        screen.line(result.note or "no release")
        return
    several = len({row.model for row in result.releases}) > 1
    columns = [
        Column("model" if several else "", whole=True),
        Column("release", whole=True),
        Column("tag", whole=True),
        Column("date", whole=True),
        Column("author"),
        Column("size", right=True),
        *(Column(name, right=True) for name in result.metrics),
        Column("bytes"),
        Column("remote"),
        Column("", whole=True),
        Column("commit", whole=True),
    ]
    screen.table(columns, [_release_row(row, result.metrics, screen, several=several) for row in result.releases])
    if absent := sorted({path for row in result.releases for path in row.unavailable}):
        screen.line(faint(f"unavailable for some releases: {', '.join(absent)}"))


def render_show(result: ShowResult, screen: Screen) -> None:
    """Write everything about one release."""
    row = result.release
    screen.line(strong(row.tag))
    _facts(_release_facts(row, screen), screen)
    _render_messages(result, screen)
    screen.section("outs")
    screen.table(_OUT_COLUMNS, [_pointer_row(pointer, screen) for pointer in result.pointers], indent=1)
    if not result.pointers:
        screen.line(row.why or "none that DVC tracks", indent=1)
    for stage in result.stages:
        _render_stage(stage, screen)
    _render_values("metrics", row.metrics, screen)
    for path in row.unavailable:
        screen.line(wrong("unavailable: "), path, indent=1)
    _render_values("params", result.params, screen)
    if result.remotes:
        screen.section("remotes today")
        _facts(result.remotes.items(), screen)
    for problem in result.problems:
        screen.line(wrong("not readable: "), problem)


def render_release(result: ReleaseResult, screen: Screen) -> None:
    """Write what was released and where it is now."""
    already = " (the tag was here already)" if result.existed else ""
    commit = format_oid(result.commit, verbose=screen.verbose)
    screen.line("released ", live(result.tag), f" at {commit}{already}")
    columns = [Column(""), Column("", right=True), Column("", whole=True)]
    rows: list[list[Part]] = [
        [out.path, format_size(out.size), faint("sha256 " + (out.sha256 if screen.verbose else out.sha256[:12]))]
        for out in result.outs
    ]
    screen.table(columns, rows, indent=1)
    size = format_size(result.bytes)
    pushed = f"{result.pushed_objects} of them pushed now" if result.pushed_objects else "all there before"
    screen.line(f"{count(result.objects, 'object')}, {size}, proved to be on the DVC remote; {pushed}")
    if result.pushed_to:
        branch = f" and {result.branch}" if result.branch else ""
        screen.line(f"pushed the tag{branch} to {result.pushed_to}")
    else:
        screen.line("the tag is in this clone only: there is no Git remote")


def render_fetch(result: FetchResult, screen: Screen) -> None:
    """Write what came for each release."""
    screen.table([Column("", whole=True), Column("")], [_fetched_row(row) for row in result.releases])
    for path in (path for row in result.releases for path in row.set_aside):
        screen.line(wrong("corrupt in the cache, set aside: "), path)
    if not result.releases:
        screen.line("no release")


def render_verify(result: VerifyResult, screen: Screen) -> None:
    """Write the verdict on each release, and what is missing or corrupt."""
    columns = [Column("", whole=True), Column("", whole=True), Column("")]
    where = "on the remote" if result.where == "remote" else "in the cache"
    screen.table(columns, [_verified_row(row, where) for row in result.releases])
    for row in result.releases:
        for name in row.missing:
            screen.line(f"{row.tag}: ", wrong("missing "), name)
        for name in row.corrupt:
            screen.line(f"{row.tag}: ", wrong("corrupt "), name)
    if not result.releases:
        screen.line("no release")


def render_path(result: PathResult, screen: Screen) -> None:
    """Write the path, and nothing else: it is there to be used by other programs."""
    screen.raw(str(result.path))


_OUT_COLUMNS = [
    Column(""),
    Column("", right=True),
    Column("", whole=True),
    Column(""),
    Column(""),
]


def _release_row(row: ReleaseRow, metrics: tuple[str, ...], screen: Screen, *, several: bool) -> list[Part]:
    return [
        (row.model or "") if several else "",
        live(row.version) if row.live else row.version,
        row.tag,
        row.date[:10],
        row.author,
        format_size(row.size) if row.size is not None else "",
        *(format_metric(row.metrics.get(name), verbose=screen.verbose) for name in metrics),
        _holding(row.bytes, row.why),
        _holding(row.remote or "", ""),
        _liveness(row),
        faint(row.commit) if screen.verbose else "",
    ]


def _render_messages(result: ShowResult, screen: Screen) -> None:
    """What the tag and its commit say; the lines that bind a tag to its bytes only where more was asked for."""
    for text in dict.fromkeys((result.tag_message, result.message)):
        lines = [line for line in text.splitlines() if screen.verbose or not line.startswith("Modelctl-")]
        if not text or lines == [result.release.tag]:
            continue
        screen.gap()
        for line in "\n".join(lines).strip().splitlines():
            screen.line(line, indent=1)


def _holding(state: str, why: str) -> Part:
    text = f"{state}: {why}" if why and state in {"not restorable", "not readable"} else state
    return wrong(text) if state in {"not restorable", "not readable"} else text


def _liveness(row: ReleaseRow) -> Part:
    return {"yes": live("* live"), "modified": wrong("* live, modified")}.get(row.live, "")


def _release_facts(row: ReleaseRow, screen: Screen) -> list[tuple[str, Part]]:
    return [
        ("model", row.model or ""),
        ("version", row.version),
        ("commit", row.commit if screen.verbose else row.commit[:12]),
        ("date", f"{format_time(row.date)} UTC"),
        ("author", row.author),
        ("size", format_size(row.size)),
        ("bytes", _holding(row.bytes, row.why)),
        ("live", _liveness(row)),
    ]


def _facts(pairs: Iterable[tuple[str, Part]], screen: Screen) -> None:
    rows = [[faint(name), value] for name, value in pairs if value and getattr(value, "text", value)]
    screen.table([Column("", whole=True), Column("")], rows, indent=1)


def _pointer_row(row: PointerRow, screen: Screen) -> list[Part]:
    files = f"{row.files} files" if row.files is not None else "directory" if row.directory else ""
    md5 = f"md5 {row.md5 if screen.verbose else row.md5[:12]}" if row.md5 else ""
    pointer = f"by {row.pointer}" if screen.verbose else ""
    return [
        row.path,
        format_size(row.size),
        faint(md5),
        files,
        wrong(f"not restorable: {row.why}") if row.why else faint(pointer),
    ]


def _render_stage(stage: StageRow, screen: Screen) -> None:
    screen.section(f"made by the stage {stage.name}")
    for line in stage.command.splitlines():
        screen.line(line, indent=1)
    _facts([(name, format_value(value)) for name, value in stage.params.items()], screen)
    rows: list[list[Part]] = [
        ["reads", str(d["path"]), faint(format_oid(d["md5"], verbose=screen.verbose))] for d in stage.dependencies
    ]
    screen.table([Column(""), Column(""), Column("", whole=True)], rows, indent=1)


def _render_values(title: str, values: Mapping[str, Any], screen: Screen) -> None:
    if values:
        screen.section(title)
        _facts([(name, format_value(v, verbose=screen.verbose)) for name, v in values.items()], screen)


def _fetched_row(row: FetchedRelease) -> list[Part]:
    if row.error:
        return [row.tag, wrong(row.error)]
    if row.objects:
        return [row.tag, f"fetched {count(row.objects, 'object')}, {format_size(row.bytes)}"]
    return [row.tag, "here already"]


def _verified_row(row: VerifiedRelease, where: str) -> list[Part]:
    bound = ", SHA-256 as the tag binds it" if row.bound else ""
    verdict = live(row.verdict) if row.verdict == "ok" else wrong(row.verdict)
    return [row.tag, verdict, (row.why or f"{count(row.objects, 'object')} {where}") + bound]
