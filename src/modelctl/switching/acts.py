"""The acts of a switch, each able to go either way from any half-done state.

`settle(forward=True)` from the state before is the switch itself; after a crash, `settle` in either
direction repairs. Paths are told apart by their inode numbers, which the intent holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelctl import faults
from modelctl.domain.paths import quoted
from modelctl.errors import Locked, ModelctlError, RecoveryNeeded, Refused, Unavailable
from modelctl.stores import files
from modelctl.stores.git import Git, TreeChange
from modelctl.switching.history import Position
from modelctl.switching.journal import Intent, Swap
from modelctl.switching.preflight import is_made_by_dvc

_TREE_BEGUN, _HEAD_BEGUN, _WATCH = "tree-begun", "head-begun", "git-at-work"
_ABSENT = "000000"
_SUBMODULE = "160000"


def switch_forward(git: Git, intent: Intent, folder: Path) -> None:
    """Do the switch: outs that are replaced or go, then Git, then outs that come."""
    is_checkout = intent.entry.mode == "checkout"
    with _index_lock(git, folder) if is_checkout else contextlib.nullcontext():
        for swap in (swap for swap in intent.swaps if swap.early):
            settle_swap(git.top, swap, forward=True)
        if is_checkout:
            checkout(git, intent.entry.source, intent.entry.target, folder)
        for swap in (swap for swap in intent.swaps if not swap.early):
            settle_swap(git.top, swap, forward=True)


def switch_back(git: Git, intent: Intent, folder: Path) -> None:
    """Undo whatever a switch has done so far.

    When Git's part cannot be undone now, the outs are put back all the same, and `RecoveryNeeded` is raised.
    """
    _wait_for_git(folder)
    for swap in (swap for swap in reversed(intent.swaps) if not swap.early):
        settle_swap(git.top, swap, forward=False)
    failed: ModelctlError | OSError | None = None
    if intent.entry.mode == "checkout":
        try:
            restore_checkout(git, intent.entry.source, intent.entry.target, folder)
        except (ModelctlError, OSError) as exc:
            failed = exc
    for swap in (swap for swap in reversed(intent.swaps) if swap.early):
        settle_swap(git.top, swap, forward=False)
    if isinstance(failed, Locked):
        raise failed
    if failed is not None:
        raise RecoveryNeeded(
            f"the model is back, and tracked files are not all as they were: {failed}",
            hint="modelctl recover   # once what stands in the way is put right",
        ) from failed


def settle_swap(top: Path, swap: Swap, *, forward: bool) -> None:
    """Have the wanted thing (or nothing) at the swap's path and the other one in its slot."""
    live, slot = top / swap.path, Path(swap.slot)
    middle = slot.with_name(slot.name + ".swap")
    wanted = swap.new if forward else swap.old
    at = {files.identity(path): path for path in (middle, slot, live) if os.path.lexists(path)}
    if at.get(wanted) == live if wanted is not None else not os.path.lexists(live):
        _empty_middle(middle, slot)
        return
    if wanted is None:
        _expect(live, {swap.old, swap.new}, swap.path)
        files.rename(live, slot)
        return
    source = at.get(wanted)
    if source is None:
        raise RecoveryNeeded(
            f"what belongs at {swap.path} is gone from {slot.parent}",
            hint="modelctl history   # then look into this",
        )
    if not os.path.lexists(live):
        live.parent.mkdir(parents=True, exist_ok=True)
        files.rename(source, live)
        _empty_middle(middle, slot)
        return
    _expect(live, {swap.old, swap.new}, swap.path)
    files.exchange(live, source)


def checkout(git: Git, source: Position, target: Position, folder: Path) -> None:
    """Bring tracked files, index and HEAD from `source` to `target`.

    Git works on a copy of the index; the caller holds the real one's lock.
    """
    if source.commit != target.commit:
        own = folder / "index"
        _copy_index(git, own)
        git.run("update-index", "-q", "--refresh", env={"GIT_INDEX_FILE": str(own)}, check=False)
        _clear_made_by_dvc(git, git.tree_changes(source.commit, target.commit), own)
        merge = ("-m", "-u", source.commit, target.commit)
        _check_merge(git, merge, own)
        (folder / _TREE_BEGUN).touch()
        with faults.point("git.tree"), _watched(folder) as held:
            git.run("read-tree", *merge, env={"GIT_INDEX_FILE": str(own)}, held=held)
        _sync_tracked(git, git.tree_changes(source.commit, target.commit))
    _move_head(git, target, f"modelctl: moving from {_name(source)} to {_name(target)}", folder)
    if source.commit != target.commit:
        with faults.point("git.index"):
            os.replace(folder / "index", git.git_dir / "index")
        files.sync_folder(git.git_dir)


def _check_merge(git: Git, merge: tuple[str, ...], own: Path) -> None:
    """Let Git say what it would refuse, before it touches anything; raises `Refused`."""
    try:
        git.run("read-tree", "-n", *merge, env={"GIT_INDEX_FILE": str(own)})
    except Unavailable as exc:
        said = exc.message.removeprefix("git read-tree failed: ")
        raise Refused(f"git refuses: {said}", hint="git status") from exc


def restore_checkout(git: Git, source: Position, target: Position, folder: Path) -> None:
    """Bring tracked files, index and HEAD back to `source` from wherever a checkout stopped.

    A file that holds neither side's content was changed by somebody since: it is kept in `folder`.
    """
    _drop_own_lock(git, folder)
    _drop_own_head_lock(git, folder, (source, target))
    if (folder / _TREE_BEGUN).exists():
        with _index_lock(git, folder):
            _restore_tree(git, git.tree_changes(source.commit, target.commit), folder)
    _move_head(git, source, f"modelctl: back from {_name(target)} to {_name(source)}", folder)


def _restore_tree(git: Git, changes: list[TreeChange], folder: Path) -> None:
    """Give tracked files and index back what the source commit has, on a copy of the index."""
    own = folder / "index"
    _copy_index(git, own)
    env = {"GIT_INDEX_FILE": str(own)}
    _keep_foreign(git, changes, folder)
    for change in changes:
        if change.old_mode == _ABSENT and change.new_mode != _SUBMODULE:
            path = git.top / change.path
            with faults.point("git.unlink"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            _prune(path.parent, git.top)
    kept = [change for change in changes if change.old_mode != _ABSENT]
    lines = "".join(f"{c.old_mode} {c.old_oid}\t{c.path}\0" for c in kept)
    lines += "".join(f"0 {'0' * 40}\t{c.path}\0" for c in changes if c.old_mode == _ABSENT)
    _clear_folders(git, kept)
    names = "".join(f"{c.path}\0" for c in kept if c.old_mode != _SUBMODULE)
    with _watched(folder) as held:
        git.run("update-index", "-z", "--index-info", stdin=os.fsencode(lines), env=env, held=held)
        git.run("checkout-index", "-f", "-u", "-z", "--stdin", stdin=os.fsencode(names), env=env, held=held)
    _sync_tracked(git, changes)
    with faults.point("git.index-back"):
        os.replace(own, git.git_dir / "index")
    files.sync_folder(git.git_dir)


def is_at(git: Git, position: Position) -> bool:
    """Whether HEAD is where `position` says."""
    head = git.head()
    return (head.commit, head.branch) == (position.commit, position.branch)


def _move_head(git: Git, target: Position, message: str, folder: Path) -> None:
    if is_at(git, target):
        return
    (folder / _HEAD_BEGUN).touch()
    with faults.point("git.head"), _watched(folder) as held:
        if target.branch is not None:
            git.run("symbolic-ref", "-m", message, "HEAD", target.branch, held=held)
        else:
            git.run("update-ref", "--no-deref", "-m", message, "HEAD", target.commit, held=held)


@contextlib.contextmanager
def _watched(folder: Path) -> Iterator[int]:
    """An open, locked file for Git to inherit: while it is locked, a Git process of ours may still be at work."""
    with open(folder / _WATCH, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file.fileno()


def _wait_for_git(folder: Path) -> None:
    """Wait for a Git process that outlived the switch that started it; raises `Locked` after ten seconds."""
    if not (folder / _WATCH).exists():
        return
    with open(folder / _WATCH, "a", encoding="utf-8") as file:
        for _ in range(200):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.05)
    raise Locked("git, started by an interrupted switch, is still at work", hint="modelctl recover")


@contextlib.contextmanager
def _index_lock(git: Git, folder: Path) -> Iterator[None]:
    """Keep other Git commands out by the `index.lock` that they take themselves.

    It is a hard link of a file of ours, so that one that a crash leaves is known as ours by its inode.
    """
    own, lock = folder / "index.owner", git.git_dir / "index.lock"
    own.touch()
    try:
        with faults.point("git.lock"):
            os.link(own, lock)
    except FileExistsError as exc:
        raise Locked("another git command is at work (index.lock)", hint="try again when it is done") from exc
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _drop_own_lock(git: Git, folder: Path) -> None:
    """Remove an `index.lock` that our own interrupted switch left; one of another command's is reported."""
    own, lock = folder / "index.owner", git.git_dir / "index.lock"
    if not lock.exists():
        return
    if files.identity(own) is not None and files.identity(own) == files.identity(lock):
        lock.unlink()
        return
    raise Locked("another git command is at work (index.lock)", hint="try again when it is done")


def _drop_own_head_lock(git: Git, folder: Path, positions: Iterable[Position]) -> None:
    """Remove a `HEAD.lock` that Git left when it was killed while it moved HEAD for us.

    It is ours when we had begun to move HEAD, it is not older than that, and it holds what we were
    writing, or the beginning of it.
    """
    begun, lock = folder / _HEAD_BEGUN, git.git_dir / "HEAD.lock"
    if not (begun.exists() and lock.exists() and lock.stat().st_mtime_ns >= begun.stat().st_mtime_ns):
        return
    texts = [f"ref: {p.branch}\n" if p.branch else f"{p.commit}\n" for p in positions]
    if any(text.startswith(lock.read_text(errors="replace")) for text in texts):
        lock.unlink()


def _copy_index(git: Git, own: Path) -> None:
    own.with_name("index.lock").unlink(missing_ok=True)
    try:
        own.write_bytes((git.git_dir / "index").read_bytes())
    except FileNotFoundError as exc:
        raise ModelctlError("this clone has no index", hint="git reset") from exc


def _clear_made_by_dvc(git: Git, changes: Iterable[TreeChange], own: Path) -> None:
    """Take DVC's own `.dvc/.gitignore` out of the way, which it rewrites whenever it runs."""
    for change in changes:
        path = git.top / change.path
        if not is_made_by_dvc(path):
            continue
        if change.old_mode == _ABSENT:
            path.unlink()
        else:
            git.run(
                "checkout-index", "-f", "-u", "-z", "--stdin",
                stdin=os.fsencode(change.path) + b"\0", env={"GIT_INDEX_FILE": str(own)},
            )  # fmt: skip


def _keep_foreign(git: Git, changes: Iterable[TreeChange], folder: Path) -> None:
    for change in changes:
        path = git.top / change.path
        if not path.is_file() or path.is_symlink() or path.stat().st_size == 0:
            continue
        if git.blob_of(change.path) not in {change.old_oid, change.new_oid}:
            kept = folder / "kept" / change.path
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(path.read_bytes())


def _clear_folders(git: Git, changes: Iterable[TreeChange]) -> None:
    """Remove empty folders that stand where a file comes back."""
    for change in changes:
        path = git.top / change.path
        if path.is_dir() and not path.is_symlink() and change.old_mode != _SUBMODULE:
            with contextlib.suppress(OSError):
                path.rmdir()


def _sync_tracked(git: Git, changes: Iterable[TreeChange]) -> None:
    folders = set()
    for change in changes:
        path = git.top / change.path
        if path.is_file() and not path.is_symlink():
            files.sync_file(path)
        folders.add(path.parent)
    for folder in folders:
        if folder.is_dir():
            files.sync_folder(folder)


def _prune(folder: Path, top: Path) -> None:
    while folder != top:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _empty_middle(middle: Path, slot: Path) -> None:
    if os.path.lexists(middle) and not os.path.lexists(slot):
        files.rename(middle, slot)


def _expect(path: Path, inodes: set[int | None], shown: str) -> None:
    """Refuse to move something that is neither side's: somebody put it there since."""
    if files.identity(path) not in inodes:
        raise RecoveryNeeded(
            f"{shown} was replaced by something else during an interrupted switch",
            hint=f"mv {quoted(shown)} {quoted(shown + '.mine')} && modelctl recover",
        )


def _name(position: Position) -> str:
    return position.tag or (position.branch or position.commit[:12]).removeprefix("refs/heads/")
