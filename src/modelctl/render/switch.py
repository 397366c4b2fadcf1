"""What a switch did, what is live, and what happened before: for the person on call."""

from __future__ import annotations

import shlex

from modelctl.commands.history import HistoryResult
from modelctl.commands.init import InitResult
from modelctl.commands.recover import RecoverResult
from modelctl.commands.status import ModelStatus, StatusResult
from modelctl.commands.switch import OutRow, SwitchResult
from modelctl.render.figures import (
    count,
    format_oid,
    format_person,
    format_seconds,
    format_size,
    format_time,
    short_release,
)
from modelctl.render.terminal import Column, Part, Screen, faint, live, strong, wrong
from modelctl.switching.history import Entry

_DID = {"rollback": "rolled back", "deploy": "deployed", "undo": "took back"}
_WOULD = {"rollback": "roll back", "deploy": "deploy", "undo": "take back"}
_ACTED = {"replace": "replaced", "add": "added", "remove": "removed"}


def render_switch(result: SwitchResult, screen: Screen) -> None:
    """Write what a rollback, deploy or undo did or would do."""
    if not result.changed:
        screen.line("already live: ", live(result.target))
        _render_cautions(result, screen)
        return
    screen.line(*_headline(result, screen))
    _render_outs(result, screen)
    _render_files(result, screen)
    screen.line(*_position(result, screen))
    if result.reason:
        screen.line(f"reason: {result.reason}")
    _render_fetched(result, screen)
    _render_cautions(result, screen)
    if result.dry_run:
        screen.line("nothing was changed: this was a dry run")


def render_status(result: StatusResult, screen: Screen) -> None:
    """Write what is live of each model, where HEAD is, and what is not as it should be."""
    for model in result.models:
        screen.line(f"{model.model}: ", *_state(model, screen))
    if not result.models:
        screen.line("no model here: nothing that DVC tracks is one")
    screen.line(_head(result, verbose=screen.verbose))
    for path in result.modified:
        screen.line("not committed: ", path)
    for problem in result.problems:
        screen.line(wrong("not readable: "), problem)
    if result.unfinished:
        screen.line(wrong("unfinished: "), f"{result.unfinished}; resolve it with: modelctl recover")
    if screen.verbose and result.link_types:
        screen.line(f"DVC links by: {', '.join(result.link_types)}")


def render_history(result: HistoryResult, screen: Screen) -> None:
    """Write every switch, newest first."""
    columns = [
        Column("when (UTC)", whole=True),
        Column("who"),
        Column("what"),
        Column("from", whole=True),
        Column("", whole=True),
        Column("to", whole=True),
        Column("outcome", whole=True),
        Column("time", right=True),
        Column("reason"),
    ]
    if not result.entries:
        screen.line("no switch here yet")
        return
    screen.table(columns, [_entry_row(entry, screen) for entry in result.entries])


def render_recover(result: RecoverResult, screen: Screen) -> None:
    """Write how an interrupted switch ended."""
    screen.line(result.message)
    for path in result.kept:
        screen.line("kept: ", path, indent=1)


def render_init(result: InitResult, screen: Screen) -> None:
    """Write what was made, and what comes next."""
    if result.made:
        screen.line(f"made in {result.top}: ", strong(", ".join(result.made)))
    else:
        screen.line(f"nothing to make: {result.top} is ready for releases")
    if screen.verbose and result.kept:
        screen.line(f"there already: {', '.join(result.kept)}")
    if result.made:
        screen.line("next: dvc add models/YOUR_MODEL, git add and git commit, then: modelctl release v1")


def _headline(result: SwitchResult, screen: Screen) -> list[Part]:
    verb = f"would {_WOULD[result.verb]}" if result.dry_run else _DID[result.verb]
    models = ", ".join(result.models) or "every out of the commit"
    took = f" in {format_seconds(result.seconds)}" if result.seconds is not None else ""
    target = short_release(result.target)
    only = " (models only)" if result.mode == "models-only" else ""
    return [
        f"{verb} {models}: {short_release(result.source)} {screen.arrow} ",
        strong(target) if result.dry_run else live(target),
        f"{took}{only}",
    ]


def _render_outs(result: SwitchResult, screen: Screen) -> None:
    columns = [Column(""), Column("", right=True), Column(""), Column("")]
    screen.table(columns, [_out_row(row, result, screen) for row in result.outs], indent=1)
    if not result.outs:
        screen.line("no bytes differ", indent=1)


def _out_row(row: OutRow, result: SwitchResult, screen: Screen) -> list[Part]:
    action = f"would be {_ACTED[row.action]}" if result.dry_run else _ACTED[row.action]
    size = "" if row.action == "remove" else format_size(row.size)
    return [row.path, size, action, faint(row.md5 or "") if screen.verbose else ""]


def _render_files(result: SwitchResult, screen: Screen) -> None:
    if result.mode == "models-only" or not result.files:
        return
    outcome = "would change" if result.dry_run else "changed"
    screen.line(faint(f"{count(len(result.files), 'tracked file')} {outcome} with the commit"), indent=1)
    if screen.verbose:
        for path in result.files:
            screen.line(path, indent=2)


def _position(result: SwitchResult, screen: Screen) -> list[Part]:
    """Where HEAD is now, and the way back."""
    would = "would be" if result.dry_run else "is"
    if result.mode == "models-only":
        return _pointers(result, screen)
    commit = format_oid(result.commit, verbose=screen.verbose)
    if result.branch:
        return [f"HEAD {would} on {result.branch.removeprefix('refs/heads/')} ({commit})"]
    where = f"HEAD {would} at {result.tag} ({commit})" if result.tag else f"HEAD {would} at {commit}"
    back = "" if result.dry_run else "; back with: modelctl rollback --undo"
    return [f"{where}, detached{back}"]


def _pointers(result: SwitchResult, screen: Screen) -> list[Part]:
    """What became of the pointers of a models-only switch."""
    if result.dry_run:
        return [f"HEAD would stay; pointers that would be rewritten: {', '.join(result.files) or 'none'}"]
    if result.committed:
        return [f"pointers committed as {format_oid(result.committed, verbose=screen.verbose)}"]
    if not result.files:
        return ["HEAD stays; the pointers were these already"]
    if result.verb == "undo":
        return ["HEAD stays; the pointers are as they were"]
    paths = shlex.join(result.files)
    return [f"HEAD stays; commit the pointers with: git add -A -- {paths} && git commit"]


def _render_fetched(result: SwitchResult, screen: Screen) -> None:
    if result.dry_run:
        if result.to_fetch:
            screen.line("objects that are not in the cache would be fetched first")
        return
    if result.fetched_objects:
        screen.line(f"fetched {count(result.fetched_objects, 'object')}, {format_size(result.fetched_bytes)}")


def _render_cautions(result: SwitchResult, screen: Screen) -> None:
    for path in result.set_aside:
        screen.line(wrong("corrupt in the cache, set aside: "), path)
    if result.left:
        screen.line(f"not switched: {', '.join(result.left)} (use --all)")
    for note in result.notes:
        screen.line(f"note: {note}")


def _state(model: ModelStatus, screen: Screen) -> list[Part]:
    named = model.release or "of no release"
    also = [tag for tag in model.same_as if tag != model.tag]
    shown = also if screen.verbose or len(also) < 5 else [*also[:3], f"{len(also) - 3} more"]
    same = f" (the same as {', '.join(shown)})" if shown else ""
    differing = [
        *(f"{path} is missing" for path in model.missing),
        *(f"{path} differs" for path in model.changed),
        *(f"{path} is not part of it" for path in model.extra),
    ]
    tag = f" [{model.tag}]" if screen.verbose and model.tag else ""
    if model.exact and model.release:
        return [live(named), f"{tag} is ", live("live, exactly"), same]
    if model.exact:
        return [named]
    shown = differing if screen.verbose else differing[:3]
    more = f" and {len(differing) - len(shown)} more" if len(differing) > len(shown) else ""
    return [named, tag, same, ", but ", wrong(", ".join(shown) + more)]


def _head(result: StatusResult, *, verbose: bool) -> str:
    if result.head is None:
        return f"HEAD is on {result.branch}, without a commit" if result.branch else "HEAD has no commit"
    commit = format_oid(result.head, verbose=verbose)
    if result.branch:
        return f"HEAD is on {result.branch} ({commit})"
    came = f", came from {_home(result.home, verbose=verbose)}" if result.home else ""
    return f"HEAD is at {commit}, detached{came}"


def _home(home: str, *, verbose: bool) -> str:
    is_commit = len(home) in {40, 64} and set(home) <= set("0123456789abcdef")
    return format_oid(home, verbose=verbose) if is_commit else home


def _entry_row(entry: Entry, screen: Screen) -> list[Part]:
    verb = f"{entry.verb} (models only)" if entry.mode == "models-only" else entry.verb
    return [
        format_time(entry.started),
        format_person(entry.who, verbose=screen.verbose),
        verb,
        _at(entry.source.tag, entry.source.commit, verbose=screen.verbose),
        screen.arrow,
        _at(entry.target.tag, entry.target.commit, verbose=screen.verbose),
        entry.outcome if entry.outcome == "done" else strong(entry.outcome),
        format_seconds(entry.seconds) if entry.happened else "",
        entry.reason or entry.note,
    ]


def _at(tag: str | None, commit: str, *, verbose: bool) -> str:
    if tag is None:
        return format_oid(commit, verbose=verbose)
    return f"{tag} ({commit})" if verbose else tag
