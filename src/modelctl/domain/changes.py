"""What differs between two commits: models, files, metrics and params."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelctl.domain.documents import is_number
from modelctl.domain.manifests import Manifest
from modelctl.domain.pointers import Digest, Out

Kind = Literal["added", "removed", "changed", "moved", "unchanged"]


@dataclass(frozen=True, slots=True)
class Change:
    """An (old, new) pair of pointers to the same thing. `moved` means other place, same bytes."""

    kind: Kind
    old: Out | None
    new: Out | None

    @property
    def path(self) -> str:
        """Where the bytes are now, or were."""
        out = self.new or self.old
        return out.path if out else ""


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How the files inside a directory differ; each a sorted tuple of paths below it."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A metric or parameter, old and new; None where one side does not have it."""

    name: str
    old: Any
    new: Any

    @property
    def difference(self) -> float | None:
        """New minus old, where both are numbers."""
        return self.new - self.old if is_number(self.old) and is_number(self.new) else None


def compare_outs(old: Iterable[Out], new: Iterable[Out]) -> tuple[Change, ...]:
    """Pair the outs of two sides by path, then by content; sorted by path."""
    before = {out.path: out for out in old}
    after = {out.path: out for out in new}
    changes = [
        Change("unchanged" if _same(before[path], after[path]) else "changed", before[path], after[path])
        for path in before.keys() & after.keys()
    ]
    gone = {path: before[path] for path in before.keys() - after.keys()}
    for path in sorted(after.keys() - before.keys()):
        source = next((p for p, out in sorted(gone.items()) if _same(out, after[path])), None)
        old_out = gone.pop(source) if source else None
        changes.append(Change("moved" if old_out else "added", old_out, after[path]))
    changes += [Change("removed", out, None) for out in gone.values()]
    return tuple(sorted(changes, key=lambda change: change.path))


def _same(old: Out, new: Out) -> bool:
    """Same bytes: by hash; a file hashed by an older DVC and again by a newer one counts when hashes agree."""
    if old.digest is None or new.digest is None:
        return old.digest == new.digest
    return (old.digest.md5, old.digest.is_dir) == (new.digest.md5, new.digest.is_dir)


def compare_files(old: Manifest, new: Manifest) -> FileChanges:
    """Compare two directories, file by file."""
    before, after = old.files, new.files
    return FileChanges(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(path for path in before.keys() & after.keys() if _other(before[path], after[path]))),
    )


def _other(old: Digest, new: Digest) -> bool:
    return old.md5 != new.md5


def compare_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    """The entries that differ, by name."""
    names = [*old, *(name for name in new if name not in old)]
    return tuple(ValueChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))
