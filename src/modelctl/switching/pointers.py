"""Pointer files for a models-only switch: an older commit's pointers in the current tree."""

from __future__ import annotations

import posixpath

import yaml

from modelctl.domain.pointers import LockedStage, Out
from modelctl.domain.snapshots import Snapshot
from modelctl.errors import Integrity, Refused
from modelctl.switching.clone import Clone


def restore_pointers(
    clone: Clone, after: Snapshot, old: list[Out], new: list[Out]
) -> tuple[dict[str, bytes | None], tuple[str, ...]]:
    """Return the texts of the tracked files that make the workspace's pointers those of `after`.

    A `.dvc` file is taken as it was. In `dvc.lock` the entry of the stage that made the model is, with
    its outs in Git (metrics), and the rest of the file stays; `dvc status` then says truthfully that
    code, params or data differ from those that the model was made of. Raises `Refused` where today's
    pointers cannot express it.
    """
    texts: dict[str, bytes | None] = {}
    notes: list[str] = []
    for pointer in sorted({out.pointer for out in [*old, *new]}):
        if posixpath.basename(pointer) != "dvc.lock":
            texts[pointer] = clone.catalog.text(after.commit, pointer)
            continue
        wanted = {out.stage for out in new if out.pointer == pointer and out.stage}
        present = {out.stage for out in old if out.pointer == pointer and out.stage}
        _check_stages(pointer, wanted, present)
        source = clone.catalog.text(after.commit, pointer) or b""
        current = (clone.git.top / pointer).read_bytes()
        texts[pointer] = splice_stages(current, source, wanted, pointer)
        for stage in (stage for stage in after.stages if stage.lock == pointer and stage.name in wanted):
            texts |= _outs_in_git(clone, after.commit, stage)
            notes.append(f"stage {stage.name} keeps today's code, params and data: dvc status names what differs")
    _check_moves(old, new)
    changed = {path: text for path, text in texts.items() if text != _present(clone, path)}
    return changed, tuple(notes) if changed else ()


def splice_stages(current: bytes, source: bytes, names: set[str], path: str) -> bytes:
    """Return the lock `current` with the entries of the stages `names` as they stand in `source`."""
    for name in sorted(names):
        start, end = _span(current, name, path)
        first, last = _span(source, name, path)
        entry = source[first:last]
        current = current[:start] + entry.rstrip(b"\n") + b"\n" + current[end:]
    return current


def _span(data: bytes, name: str, path: str) -> tuple[int, int]:
    """The bytes of one stage's entry, from the start of its line to the start of the next entry."""
    root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    stages = next((value for key, value in root.value if key.value == "stages"), None) if root else None
    if root is None or not isinstance(stages, yaml.MappingNode):
        raise Integrity(f"{path} has no stages")
    lines = data.splitlines(keepends=True)
    starts = [key.start_mark.line for key, _ in stages.value]
    starts.append(_end_line(root.value, stages, len(lines)))
    for position, (key, _) in enumerate(stages.value):
        if key.value == name:
            before = sum(map(len, lines[: starts[position]]))
            return before, before + sum(map(len, lines[starts[position] : starts[position + 1]]))
    raise Refused(f"{path} has no stage {name} there", hint="leave out --models-only")


def _end_line(document: list[tuple[yaml.Node, yaml.Node]], stages: yaml.MappingNode, total: int) -> int:
    """The line where the stages end: that of the next key of the document, or its end."""
    following = [key.start_mark.line for key, _ in document if key.start_mark.line > stages.start_mark.line]
    return min(following, default=total)


def _check_stages(pointer: str, wanted: set[str], present: set[str]) -> None:
    if gone := sorted(wanted - present):
        raise Refused(
            f"{pointer} no longer has the stage {gone[0]} that made the model then",
            hint="leave out --models-only",
        )
    if extra := sorted(present - wanted):
        raise Refused(f"the stage {extra[0]} of {pointer} did not make the model then", hint="leave out --models-only")


def _check_moves(old: list[Out], new: list[Out]) -> None:
    """A path whose pointer moved between a `.dvc` file and a lock cannot be taken back on its own."""
    pointers = {out.path: out.pointer for out in old}
    for out in new:
        there = pointers.get(out.path, out.pointer)
        if there != out.pointer and "dvc.lock" in {
            posixpath.basename(there),
            posixpath.basename(out.pointer),
        }:
            raise Refused(
                f"{out.path} was tracked by {out.pointer} then and is by {there} now",
                hint="leave out --models-only",
            )


def _outs_in_git(clone: Clone, commit: str, stage: LockedStage) -> dict[str, bytes | None]:
    """The outs of a stage that Git holds itself, as they were."""
    kept: dict[str, bytes | None] = {}
    for out in stage.outs:
        if not out.cached and (text := clone.catalog.text(commit, out.path)) is not None:
            kept[out.path] = text
    return kept


def _present(clone: Clone, path: str) -> bytes | None:
    try:
        return (clone.git.top / path).read_bytes()
    except FileNotFoundError:
        return None
