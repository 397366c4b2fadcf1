"""What could go wrong is found before anything is touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from modelctl.domain.paths import printable, quoted
from modelctl.domain.pointers import Digest, Out
from modelctl.errors import Integrity, Locked, ModelctlError, Refused
from modelctl.stores import files
from modelctl.stores.objects import Cache, compare_workspace, list_files
from modelctl.switching.clone import Clone
from modelctl.switching.plan import OutStep, Plan

_ABSENT, _SUBMODULE = "000000", "160000"
_MADE_BY_DVC = {f"/{name}" for name in ("config.local", "tmp", "cache", "plots", "experiments")}


def check_plan(clone: Clone, plan: Plan) -> tuple[OutStep, ...]:
    """Raise when local state is in the way of `plan`; return the outs whose bytes are not live yet."""
    _check_operation(clone)
    _check_tag(clone, plan)
    _check_tracked(clone, plan)
    steps = tuple(step for step in plan.outs if _needs_switch(clone, plan, step))
    _check_writable(clone, plan, steps)
    return steps


def check_space(clone: Clone, steps: Iterable[OutStep]) -> None:
    """Raise `Refused` when a disk has less room than the missing objects and the copies may take."""
    need: dict[Path, int] = {}
    for cache, outs in _by_cache(clone, steps).items():
        fetch = sum(out.size or 0 for out in outs if out.digest and cache.missing([out.digest]))
        _add_need(need, cache.folder, fetch)
        if not _is_linked(clone, clone.config(outs[0].root).link_types):
            for out in outs:
                _add_need(need, (clone.git.top / out.path).parent, out.size or 0)
    for folder, count in need.items():
        free = shutil.disk_usage(folder).free
        if count > free:
            raise Refused(
                f"{folder} has {format_bytes(free)} free and this needs {format_bytes(count)}",
                hint=f"df -h {quoted(str(folder))}   # free some space; nothing was touched",
            )


def _existing(folder: Path) -> Path:
    """The nearest folder above that is there."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _add_need(need: dict[Path, int], folder: Path, count: int) -> None:
    """Add `count` bytes to what the file system of `folder` must have free."""
    here = _existing(folder)
    known = next((other for other in need if other.stat().st_dev == here.stat().st_dev), here)
    need[known] = need.get(known, 0) + count


def _is_linked(clone: Clone, kinds: tuple[str, ...]) -> bool:
    """Whether outs take no room of their own: the first link type that works here is not a copy."""
    if kinds[0] == "reflink" and not files.can_reflink(clone.git.git_dir):
        kinds = kinds[1:]
    return kinds[0] != "copy"


def note_tag(clone: Clone, plan: Plan) -> None:
    """Remember which object a tag was when it was used here."""
    if plan.release is not None:
        seen = _seen_tags(clone) | {plan.release.tag.name: plan.release.tag.object}
        files.write_durably(clone.state / "tags.json", json.dumps(seen, indent=0).encode())


def is_made_by_dvc(path: Path) -> bool:
    """Whether the file is a `.dvc/.gitignore` as DVC writes it by itself, with nothing of the user's."""
    if path.name != ".gitignore" or path.parent.name != ".dvc" or not path.is_file():
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    return all(line in _MADE_BY_DVC for line in lines)


def format_bytes(count: float) -> str:
    """A size for people: `1.2 MB`, with powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _check_operation(clone: Clone) -> None:
    if (clone.git.git_dir / "index.lock").exists():
        raise Locked("another git command is at work (index.lock)", hint="try again when it is done")
    if found := clone.git.operation():
        raise Refused(f"{found[0]} is in progress", hint=f"{found[1]}   # or finish it")


def _check_tag(clone: Clone, plan: Plan) -> None:
    tag = plan.release.tag if plan.release else None
    if tag is None or plan.request.accept_moved_tag:
        return
    seen = _seen_tags(clone).get(tag.name)
    if seen is not None and seen != tag.object:
        raise Refused(
            f"the tag {tag.name} was moved since it was last used here ({seen[:12]} → {tag.object[:12]})",
            hint=f"modelctl {plan.request.verb} {quoted(tag.name)} --accept-moved-tag   # if it may be",
        )


def _seen_tags(clone: Clone) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((clone.state / "tags.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _check_tracked(clone: Clone, plan: Plan) -> None:
    """Refuse when a tracked file that the switch writes has changes, or an untracked one is in its place."""
    touched = {change.path for change in plan.tracked} | {text.path for text in plan.texts}
    pointers = {out.pointer for step in plan.outs for out in (step.old, step.new) if out}
    status = clone.git.status()
    dirty = {entry.path for entry in status if not is_made_by_dvc(clone.git.top / entry.path)}
    if plan.mode == "models-only":
        dirty = {path for path in dirty if not clone.git.has_content_of(path)}
    if changed := sorted(dirty & (touched | pointers)):
        shown = ", ".join(printable(path) for path in changed[:5]) + (" ..." if len(changed) > 5 else "")
        raise Refused(f"local changes are in the way: {shown}", hint="git stash   # or commit them; then again")
    if marked := clone.git.marked_among([change.path for change in plan.tracked]):
        raise Refused(
            f"{printable(marked[0])} is marked skip-worktree or assume-unchanged, and {plan.label} has another one",
            hint=" && ".join(
                f"git update-index --no-{mark} -- {quoted(marked[0])}" for mark in ("skip-worktree", "assume-unchanged")
            ),
        )
    replaced = {step.path for step in plan.outs if step.old is not None}
    gone = replaced | {change.path for change in plan.tracked if change.old_mode != _ABSENT}
    come = [c.path for c in plan.tracked if c.old_mode == _ABSENT and c.new_mode != _SUBMODULE]
    for path in come:
        if obstacle := _find_obstacle(clone.git.top, path, gone, replaced):
            raise Refused(
                f"the untracked file {printable(obstacle)} is in the way",
                hint=f"mv {quoted(obstacle)} {quoted(obstacle + '.mine')}   # keeps it beside",
            )


def _find_obstacle(top: Path, path: str, gone: set[str], replaced: set[str]) -> str | None:
    """What lies where the tracked file `path` is to come and is neither tracked (`gone`) nor an out."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        folder = "/".join(parts[:count])
        if folder in gone:
            return None
        if os.path.islink(top / folder) or os.path.isfile(top / folder):
            return folder
    here = top / path
    if not os.path.lexists(here) or is_made_by_dvc(here):
        return None
    if here.is_symlink() or not here.is_dir():
        return None if path in gone or _is_below(path, replaced) else path
    names = (f"{path}/{name}" for name in list_files(here))
    return next((name for name in names if name not in gone and not _is_below(name, replaced)), None)


def _is_below(path: str, folders: set[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _check_writable(clone: Clone, plan: Plan, steps: Iterable[OutStep]) -> None:
    """Refuse when a folder in which the switch exchanges names cannot be written."""
    paths = {change.path for change in plan.tracked} | {step.path for step in steps} | {t.path for t in plan.texts}
    folders = {_existing((clone.git.top / path).parent) for path in paths} | {clone.git.git_dir}
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Refused(f"{folder} cannot be written", hint=f"ls -ld {quoted(str(folder))}")


def _needs_switch(clone: Clone, plan: Plan, step: OutStep) -> bool:
    """Whether the bytes at the step's path must change; raises `Refused` when that would lose something."""
    path = clone.git.top / step.path
    _check_way(clone, step.path)
    _check_untracked_at(clone, plan, step)
    cache = clone.cache(step.root)
    if step.new is None and not os.path.lexists(path):
        return False
    if step.digest is not None and not compare_workspace(cache, path, step.digest, shown=step.path):
        return step.new is not None and step.new.executable and not os.access(path, os.X_OK)
    if lost := _unsaved(clone, plan, cache, step):
        shown = ", ".join(printable(name) for name in lost[:5]) + (" ..." if len(lost) > 5 else "")
        raise Refused(
            f"{shown} {'has' if len(lost) == 1 else 'have'} changes that are in no cache",
            hint=f"mv {quoted(step.path)} {quoted(step.path + '.mine')}   # keeps them beside",
        )
    return True


def _check_way(clone: Clone, path: str) -> None:
    """Refuse a symlink among the folders that lead to an out: it could lead anywhere."""
    folder = clone.git.top
    for part in path.split("/")[:-1]:
        folder = folder / part
        if folder.is_symlink():
            raise Integrity(f"{printable(path)} is reached through the symlink {folder.relative_to(clone.git.top)}")


def _check_untracked_at(clone: Clone, plan: Plan, step: OutStep) -> None:
    """Refuse an out that the target commit also has as a tracked file."""
    if step.new is None or plan.mode != "checkout":
        return
    if clone.catalog.objects.read(f"{plan.target.commit}:{step.path}") is not None:
        raise Integrity(
            f"{printable(step.path)} is tracked by Git and by DVC at {plan.label}",
            hint=f"git rm --cached {quoted(step.path)}   # in a new commit",
        )


def _unsaved(clone: Clone, plan: Plan, cache: Cache, step: OutStep) -> list[str]:
    """The files at the step's path whose bytes exist nowhere else: not in the cache, and not in Git."""
    path = clone.git.top / step.path
    in_git = {change.path for change in plan.tracked if change.old_mode != _ABSENT}
    if not os.path.lexists(path):
        return []
    if step.old is not None and step.old.digest is not None:
        candidates = list(compare_workspace(cache, path, step.old.digest, shown=step.path).unsaved)
    elif path.is_dir() and not path.is_symlink():
        candidates = [f"{step.path}/{name}" for name in list_files(path)]
    else:
        candidates = [step.path]
    if candidates == [step.path] and path.is_dir() and not path.is_symlink():
        candidates = [f"{step.path}/{name}" for name in list_files(path)]
    return [name for name in candidates if name not in in_git and not _is_saved(clone, cache, clone.git.top / name)]


def _is_saved(clone: Clone, cache: Cache, path: Path) -> bool:
    """Whether the cache holds the bytes of the file at `path`."""
    if path.is_symlink():
        return path.resolve().is_relative_to(cache.folder.resolve())
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return path.is_file()
        md5 = clone.known.md5(path)
    except OSError as exc:
        raise ModelctlError(f"cannot read {exc.filename}") from exc
    return any(cache.is_sound(Digest(md5, legacy=legacy)) for legacy in (False, True))


def _by_cache(clone: Clone, steps: Iterable[OutStep]) -> dict[Cache, list[Out]]:
    found: dict[Cache, list[Out]] = {}
    for step in steps:
        if step.new is not None:
            found.setdefault(clone.cache(step.root), []).append(step.new)
    return found
