"""DVC's local cache: objects found, verified, set aside, adopted and linked."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelctl import faults
from modelctl.domain.manifests import Manifest, parse_manifest
from modelctl.domain.paths import printable
from modelctl.domain.pointers import Digest
from modelctl.errors import Integrity, ModelctlError
from modelctl.stores import files
from modelctl.stores.known import KnownHashes

_MANIFEST_LIMIT = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SetAside:
    """A cached object whose content was not what its name says, and where it was moved."""

    digest: Digest
    original: Path
    kept: Path


@dataclass(frozen=True, slots=True)
class Cache:
    """One DVC cache folder. Objects are never changed in place and never deleted."""

    folder: Path
    known: KnownHashes

    def path(self, digest: Digest) -> Path:
        """Where the object lies, or would lie."""
        return self.folder / digest.relative

    def has(self, digest: Digest) -> bool:
        """Whether an object of that name is there, whatever it holds."""
        return self.path(digest).is_file()

    def is_sound(self, digest: Digest) -> bool:
        """Whether the object is there with the right content; hashes it unless that is known."""
        return self.has(digest) and self.known.has(self.path(digest), digest)

    def find_manifest(self, digest: Digest) -> Manifest | None:
        """The manifest of a directory, None when it is not here or not sound."""
        return self.get_manifest(digest) if self.is_sound(digest) else None

    def get_manifest(self, digest: Digest) -> Manifest:
        """The manifest of a directory that is here; raises `Integrity` for one that cannot be used."""
        path = self.path(digest)
        if path.stat().st_size > _MANIFEST_LIMIT:
            raise Integrity(f"manifest {digest.oid} is larger than {_MANIFEST_LIMIT} bytes")
        found = path.stat()
        return _read_manifest(path, digest, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))

    def objects_of(self, digest: Digest) -> tuple[Digest, ...]:
        """The object itself and, for a directory whose manifest is here, each of its files."""
        if not digest.is_dir or not self.has(digest):
            return (digest,)
        return (digest, *dict.fromkeys(self.get_manifest(digest).files.values()))

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those objects, files of directories included, that are not here; contents are not looked into."""
        found: list[Digest] = []
        for digest in dict.fromkeys(digests):
            try:
                objects = self.objects_of(digest)
            except Integrity:
                objects = (digest,)
            found += [item for item in objects if not self.has(item)]
        return list(dict.fromkeys(found))

    def set_aside(self, digests: Iterable[Digest]) -> list[SetAside]:
        """Move objects with wrong content out of DVC's sight, keeping them."""
        moved = []
        folder = self.folder / "modelctl-set-aside"
        folder.mkdir(exist_ok=True)
        for digest in digests:
            kept = folder / f"{digest.oid}.{time.time_ns()}"
            with faults.point("objects.set-aside"):
                os.rename(self.path(digest), kept)
            moved.append(SetAside(digest, self.path(digest), kept))
        self.known.forget(item.original for item in moved)
        return moved

    def put_back(self, moved: Iterable[SetAside]) -> None:
        """Undo `set_aside` where nothing better arrived."""
        for item in moved:
            if not item.original.exists():
                with faults.point("objects.put-back"):
                    os.rename(item.kept, item.original)

    def adopt(self, path: Path, digest: Digest, *, kinds: tuple[str, ...] = ("hardlink", "copy")) -> None:
        """Give the cache the file at `path`, whose content is `digest`, unless it has that object.

        A hard link makes the file read-only, as the cache's objects are: for one that stays the user's,
        leave it out of `kinds`.
        """
        target = self.path(digest)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        with faults.point("objects.adopt"):
            for kind in kinds:
                if files.link(kind, path, temporary):
                    break
            os.chmod(temporary, 0o444)
            files.sync_file(temporary)
            os.replace(temporary, target)
        files.sync_folder(target.parent)
        self.known.note(target, digest)


@functools.lru_cache(maxsize=16)
def _read_manifest(path: Path, digest: Digest, _state: tuple[int, ...]) -> Manifest:
    """Parse a manifest once for as long as its file is unchanged."""
    return parse_manifest(path.read_bytes(), digest=digest)


def build_out(
    cache: Cache,
    digest: Digest,
    target: Path,
    kinds: tuple[str, ...],
    *,
    executable: bool = False,
    beside: Path | None = None,
) -> None:
    """Build at `target` the file or directory that `digest` names, linked from the cache by `kinds`.

    Of the directory `beside`, which `target` is to replace, copies that hold the right bytes already are
    taken as they are: the same files under a second name, so that the cost is that of what changes.
    Every object must be here and sound. Kinds and modes are DVC's: a link is read-only because it shares
    the cache's bytes, a copy is writable, an empty file is never a hard link, and an executable one is so
    for its owner (through a link the cached object becomes it too).
    """
    if not digest.is_dir:
        _build_file(cache, digest, target, list(kinds), executable=executable)
        files.sync_file(target)
        return
    manifest = cache.get_manifest(digest)
    target.mkdir()
    for folder in manifest.folders:
        (target / folder).mkdir(parents=True, exist_ok=True)
    usable = list(kinds)
    for path, file in manifest.files.items():
        if beside is None or not _take(cache, file, beside / path, target / path):
            _build_file(cache, file, target / path, usable, executable=False)
    files.sync_filesystem(target)


def _take(cache: Cache, digest: Digest, source: Path, target: Path) -> bool:
    """Give the file `source` a second name, if it is known to hold `digest` and is not the cache's own."""
    if source.is_symlink() or not cache.known.is_known(source, digest):
        return False
    with contextlib.suppress(FileNotFoundError):
        if source.samefile(cache.path(digest)):
            return False
    return files.link("hardlink", source, target)


def _build_file(cache: Cache, digest: Digest, target: Path, kinds: list[str], *, executable: bool) -> None:
    source = cache.path(digest)
    size = source.stat().st_size
    if size == 0 and kinds[0] != "symlink":
        target.touch()
    else:
        _link_file(cache, digest, target, kinds)
    if executable:
        mode = target.stat().st_mode
        if not mode & stat.S_IXUSR:
            sound = cache.known.is_known(source, digest)
            os.chmod(target, mode | stat.S_IXUSR)
            if sound:
                cache.known.note(source, digest)


def _link_file(cache: Cache, digest: Digest, target: Path, kinds: list[str]) -> None:
    """Link one file by the first of `kinds` that works; reflinks that do not work here are not tried again."""
    source = cache.path(digest)
    try:
        kind = next(kind for kind in kinds if files.link(kind, source, target))
        if kind != "reflink" and "reflink" in kinds[: kinds.index(kind)]:
            kinds.remove("reflink")
    except FileExistsError as exc:
        raise Integrity(f"two entries of a directory collide on this file system: {printable(target.name)}") from exc
    if kind not in {"copy", "reflink"}:
        return
    if kind == "copy":
        same_size = target.stat().st_size == source.stat().st_size
        if not same_size or not cache.known.is_known(source, digest):
            raise Integrity(f"object {digest.oid} changed while it was copied")
    os.chmod(target, 0o666 & ~_umask())
    cache.known.note(target, digest)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a workspace path differs from its pointer; paths are the files concerned."""

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.extra)

    @property
    def unsaved(self) -> tuple[str, ...]:
        """The files whose bytes a switch would replace: changed and extra ones."""
        return tuple(sorted({*self.changed, *self.extra}))


def compare_workspace(cache: Cache, path: Path, digest: Digest, *, shown: str) -> Difference:
    """Compare what is at `path` with the pointer's `digest`, reading as little as is safe.

    A file that is the cache's own (same inode, or a symlink to it) has the object's content when the
    object is sound; any other is hashed unless that is known.
    """
    if not path.exists() and not path.is_symlink():
        return Difference(missing=(shown,))
    if not digest.is_dir:
        same = _is_plain_file(path) and _file_is(cache, path, digest)
        return Difference() if same else Difference(changed=(shown,))
    manifest = cache.find_manifest(digest)
    if not path.is_dir() or path.is_symlink():
        return Difference(changed=(shown,))
    present = list_files(path)
    if manifest is None:
        same = manifest_bytes_md5(cache.known, path, present, legacy=digest.legacy) == digest.md5
        return Difference() if same else Difference(changed=(shown,))
    changed = [f for f in present if f in manifest.files and not _file_is(cache, path / f, manifest.files[f])]
    absent = [f for f in manifest.files if f not in present]
    extra = [f for f in present if f not in manifest.files]
    return Difference(*(tuple(f"{shown}/{name}" for name in names) for names in (absent, changed, extra)))


def list_files(path: Path) -> dict[str, None]:
    """Every file and symlink below the folder `path`, by POSIX path, links not followed."""
    found: dict[str, None] = {}
    for folder, names, entries in os.walk(path):
        base = os.path.relpath(folder, path)
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        for name in (*entries, *links):
            found[name if base == "." else f"{base}/{name}"] = None
    return found


def manifest_bytes(known: KnownHashes, path: Path, names: Iterable[str]) -> bytes:
    """The manifest that DVC would write for the files `names` of the folder `path`."""
    import json

    entries = [{"md5": known.md5(path / name), "relpath": name} for name in names]
    return json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True).encode()


def manifest_bytes_md5(known: KnownHashes, path: Path, names: Iterable[str], *, legacy: bool) -> str:
    """The hash of that manifest; a legacy one cannot be rebuilt without knowing each file's kind."""
    import hashlib

    if legacy:
        return ""
    try:
        return hashlib.md5(manifest_bytes(known, path, names), usedforsecurity=False).hexdigest()
    except OSError as exc:
        raise ModelctlError(f"cannot read {exc.filename}") from exc


def _file_is(cache: Cache, path: Path, digest: Digest) -> bool:
    stored = cache.path(digest)
    try:
        if path.samefile(stored):
            return cache.is_sound(digest)
    except FileNotFoundError:
        pass
    return path.is_file() and not path.is_symlink() and cache.known.has(path, digest)


def _is_plain_file(path: Path) -> bool:
    return path.is_file()
