"""After the switch: what was done is read back, and what only the old out had is kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from modelctl.errors import Integrity
from modelctl.stores import files
from modelctl.stores.objects import compare_workspace, list_files
from modelctl.switching import acts
from modelctl.switching.clone import Clone
from modelctl.switching.journal import Intent, Swap


def read_back(clone: Clone, intent: Intent) -> None:
    """Read back what was done; raises `Integrity` when it is not what was meant."""
    target = intent.entry.target
    if not acts.is_at(clone.git, target):
        raise Integrity(f"HEAD is not at {target.tag or target.commit[:12]} after the switch")
    for swap in intent.swaps:
        live = clone.git.top / swap.path
        if files.identity(live) != swap.new and not (swap.new is None and clone.git.tracked_among([swap.path])):
            raise Integrity(f"{swap.path} is not what was put there")
        if swap.new_digest is not None:
            _note_live(clone, swap)
            if compare_workspace(clone.cache(swap.root), live, swap.new_digest, shown=swap.path):
                raise Integrity(f"{swap.path} does not hold the release's bytes")


def _note_live(clone: Clone, swap: Swap) -> None:
    """Remember what the copies that were just put in place hold, so that nobody hashes them again."""
    if swap.new_digest is None:
        return
    live, cache = clone.git.top / swap.path, clone.cache(swap.root)
    if not swap.new_digest.is_dir:
        _note_copy(clone, live, cache.path(swap.new_digest), swap)
        return
    manifest = cache.find_manifest(swap.new_digest)
    for name, digest in manifest.files.items() if manifest else ():
        _note_copy(clone, live / name, cache.path(digest), replace(swap, new_digest=digest))


def _note_copy(clone: Clone, path: Path, stored: Path, swap: Swap) -> None:
    if swap.new_digest is None or path.is_symlink() or not path.is_file():
        return
    found, original = path.stat(), stored.stat() if stored.exists() else None
    if original is None or (found.st_ino, found.st_size) == (original.st_ino, original.st_size):
        return
    if clone.known.was_noted(found, swap.new_digest):
        clone.known.note(path, swap.new_digest)


def keep_old_objects(clone: Clone, swap: Swap) -> None:
    """Give the cache whatever of the old bytes it lacks, before they are removed."""
    slot, digest, cache = Path(swap.slot), swap.old_digest, clone.cache(swap.root)
    if digest is None or not os.path.lexists(slot) or slot.is_symlink():
        return
    if not digest.is_dir:
        if not cache.has(digest) and slot.is_file() and clone.known.has(slot, digest):
            cache.adopt(slot, digest)
        return
    manifest = cache.find_manifest(digest)
    for name in list_files(slot) if manifest and slot.is_dir() else ():
        file = manifest.files.get(name) if manifest else None
        if file is not None and not cache.has(file) and clone.known.has(slot / name, file):
            cache.adopt(slot / name, file)
