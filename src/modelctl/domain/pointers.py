"""Pointers: what `.dvc` files and `dvc.lock` say of the bytes that DVC tracks.

Formats: https://dvc.org/doc/user-guide/project-structure (`.dvc` files, `dvc.lock` 2.0).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import Any

from modelctl.domain.documents import flatten, load_yaml
from modelctl.domain.paths import parse_path, printable
from modelctl.domain.templates import Read, is_templated, no_file, resolve_pipeline
from modelctl.errors import Integrity

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_OTHER_HASHES = ("etag", "checksum", "blake3", "sha256")
_TEMPLATE = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of bytes in a DVC store: an MD5, of a file or of a directory's manifest.

    `legacy` digests were written by DVC before 3.0: text was hashed with its line ends normalised,
    and the objects lie one level higher in caches and remotes.
    """

    md5: str
    is_dir: bool = False
    legacy: bool = False

    @property
    def oid(self) -> str:
        """The object's name: the hash, with `.dir` for a manifest."""
        return f"{self.md5}.dir" if self.is_dir else self.md5

    @property
    def relative(self) -> str:
        """Where the object lies below a cache or remote."""
        oid = self.oid
        prefix = "" if self.legacy else "files/md5/"
        return f"{prefix}{oid[:2]}/{oid[2:]}"


@dataclass(frozen=True, slots=True)
class Out:
    """A file or directory that DVC tracks, as one pointer states it. Paths are relative to the top."""

    path: str
    pointer: str
    root: str
    digest: Digest | None = None
    size: int | None = None
    files: int | None = None
    stage: str | None = None
    cached: bool = True
    remote: str | None = None
    executable: bool = False
    imported: bool = False
    versioned: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether DVC should have the bytes and nothing says which."""
        return self.cached and self.digest is None

    @property
    def unrestorable(self) -> str | None:
        """Why DVC could not bring this out back, or None when a store may hold it."""
        if not self.cached:
            return "not cached by DVC (cache: false)"
        if self.digest is None and self.versioned:
            return "a directory on a cloud-versioned remote, whose pointer names no hash of the whole"
        if self.digest is None:
            return "declared without a hash"
        return None

    @property
    def content(self) -> tuple[str, Digest | None]:
        """What identifies the out's bytes in its place."""
        return (self.path, self.digest)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that a stage read when it made its outs."""

    path: str
    digest: Digest | None
    size: int | None
    files: int | None


@dataclass(frozen=True, slots=True)
class LockedStage:
    """What `dvc.lock` records of one stage's last run."""

    name: str
    lock: str
    command: str
    deps: tuple[Dependency, ...]
    params: tuple[tuple[str, str], ...]
    outs: tuple[Out, ...]


@dataclass(frozen=True, slots=True)
class StageFlags:
    """What only `dvc.yaml` knows of a stage's outs. A `group` stands for stages that cannot be told here."""

    wdir: str
    uncached: tuple[str, ...]
    remotes: tuple[tuple[str, str], ...]
    group: bool = False


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What modelctl reads from one `dvc.yaml`."""

    stages: dict[str, StageFlags]
    artifacts: tuple[tuple[str, str, str], ...]
    metrics: tuple[str, ...]
    params: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def find_flags(self, name: str) -> StageFlags | None:
        """The stage that the lock calls `name`, None when there is no such stage any more."""
        group = self.stages.get(name.partition("@")[0])
        return self.stages.get(name) or (group if group and group.group else None)


def parse_dvc_file(data: bytes, path: str, *, root: str) -> tuple[Out, ...]:
    """Return the outs of the `.dvc` file at `path`; raises `Integrity` when it is not one."""
    document = _mapping(load_yaml(data, name=path), path)
    base = _folder(document.get("wdir"), posixpath.dirname(path))
    deps = _list(document.get("deps"), path)
    entries = _list(document.get("outs"), path)
    if "cmd" in document or any(isinstance(entry, dict) and "metric" in entry for entry in entries):
        raise Integrity(f"{path} was written by DVC 0.x, which DVC 3 no longer reads")
    imported = any(isinstance(dep, dict) and "repo" in dep for dep in deps)
    outs = (_out(entry, path, base, root) for entry in entries)
    return tuple(replace(out, imported=imported) for out in outs)


def parse_lock(data: bytes, path: str, pipeline: Pipeline, *, root: str) -> tuple[LockedStage, ...]:
    """Return the stages of the `dvc.lock` at `path` that its `dvc.yaml` still has.

    Raises `Integrity` when it is not a lock file of DVC 2.0 or later.
    """
    document = _mapping(load_yaml(data, name=path), path)
    if document and "schema" not in document:
        raise Integrity(f"{path} was written by DVC 1.x, which DVC 3 no longer reads")
    if document and document["schema"] != "2.0":
        raise Integrity(f"{path} has the schema {printable(str(document['schema']))[:20]!r}, which DVC 3 does not read")
    found = []
    for name, entry in _mapping(document.get("stages"), path).items():
        flags = pipeline.find_flags(name)
        if flags is not None:
            found.append(_locked_stage(name, _mapping(entry, path), path, flags, root))
    return tuple(found)


def parse_pipeline(data: bytes, path: str, read: Read = no_file) -> Pipeline:
    """Return what is read from the `dvc.yaml` at `path`; raises `Integrity` when it is no YAML map.

    `read` returns the files that templates take their values from. What is wrong with one stage or
    artifact is said in `problems`.
    """
    if is_templated(data):
        document = resolve_pipeline(data, path, read)
    else:
        document = _mapping(load_yaml(data, name=path, aliases=True), path)
    folder = posixpath.dirname(path)
    problems: list[str] = []
    stages, metrics = {}, [*_paths(document.get("metrics"), folder)]
    for name, entry in _mapping(document.get("stages"), path).items():
        stage = entry.get("do", entry) if isinstance(entry, dict) else {}
        try:
            wdir = _folder(stage.get("wdir") if isinstance(stage, dict) else None, folder)
            stages[name] = _flags(stage, wdir, group=isinstance(entry, dict) and "group" in entry)
            metrics += _paths(stage.get("metrics") if isinstance(stage, dict) else None, wdir)
        except Integrity as exc:
            problems.append(f"stage {printable(name)}: {exc.message}")
    artifacts = []
    for name, entry in _mapping(document.get("artifacts"), path).items():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            if "${" in entry["path"]:
                problems.append(f"artifact {printable(name)}: its path {printable(entry['path'])!r} cannot be resolved")
                continue
            artifacts.append((name, parse_path(entry["path"], base=folder), str(entry.get("type") or "")))
    params = [*_paths(document.get("params"), folder), posixpath.join(folder, "params.yaml")]
    return Pipeline(
        stages,
        tuple(artifacts),
        tuple(dict.fromkeys(metrics)),
        tuple(dict.fromkeys(params)),
        tuple(problems),
    )


def has_conflict(data: bytes) -> bool:
    """Whether `data` holds Git's conflict markers."""
    return bool(re.search(rb"^<{7} .*^={7}$.*^>{7} ", data, re.MULTILINE | re.DOTALL))


def _locked_stage(name: str, entry: dict[str, Any], path: str, flags: StageFlags, root: str) -> LockedStage:
    outs = []
    for raw in _list(entry.get("outs"), path):
        out = _out(raw, path, flags.wdir, root)
        outs.append(
            replace(
                out,
                stage=name,
                cached=out.cached and not any(_names(pattern, out.path) for pattern in flags.uncached),
                remote=next((r for pattern, r in flags.remotes if _names(pattern, out.path)), out.remote),
            )
        )
    deps = tuple(_dependency(raw, flags.wdir) for raw in _list(entry.get("deps"), path) if isinstance(raw, dict))
    params = tuple(
        (f"{file}:{key}", str(value))
        for file, values in _mapping(entry.get("params"), path).items()
        if isinstance(values, dict)
        for key, value in flatten(values).items()
    )
    command = entry.get("cmd", "")
    text = " && ".join(map(str, command)) if isinstance(command, list) else str(command)
    return LockedStage(name, path, text, deps, params, tuple(outs))


def _out(raw: Any, pointer: str, base: str, root: str) -> Out:
    entry = _mapping(raw, pointer)
    if not isinstance(entry.get("path"), str):
        raise Integrity(f"{pointer} has an out without a path")
    digest = _digest(entry, pointer)
    return Out(
        path=parse_path(entry["path"], base=base, what=f"{pointer}: out"),
        pointer=pointer,
        root=root,
        digest=digest,
        size=_count(entry.get("size")),
        files=_count(entry.get("nfiles")),
        cached=entry.get("cache") != "false",
        remote=entry["remote"] if isinstance(entry.get("remote"), str) else None,
        executable=entry.get("isexec") == "true",
        versioned="cloud" in entry or "files" in entry,
    )


def _digest(entry: dict[str, Any], pointer: str) -> Digest | None:
    value = entry.get("md5")
    if value in {None, ""}:
        if any(name in entry for name in _OTHER_HASHES):
            raise Integrity(f"{pointer} names its bytes by something other than md5, which has no local copy")
        return None
    if not isinstance(value, str) or not _MD5.fullmatch(value):
        raise Integrity(f"{pointer} holds {printable(str(value))[:60]!r} where a hash belongs")
    if entry.get("hash") not in {None, "md5", "md5-dos2unix"}:
        raise Integrity(f"{pointer} uses hash {printable(str(entry['hash']))[:30]!r}, which DVC 3 does not")
    return Digest(value[:32], is_dir=value.endswith(".dir"), legacy=entry.get("hash") != "md5")


def _dependency(raw: dict[str, Any], base: str) -> Dependency:
    path = str(raw.get("path", ""))
    shown = path if "://" in path else posixpath.normpath(posixpath.join(base, path))
    try:
        digest = _digest(raw, path)
    except Integrity:
        digest = None
    return Dependency(shown, digest, _count(raw.get("size")), _count(raw.get("nfiles")))


def _flags(stage: Any, wdir: str, *, group: bool) -> StageFlags:
    uncached, remotes = [], []
    sections = [stage.get(key) for key in ("outs", "metrics", "plots")] if isinstance(stage, dict) else []
    for entry in (entry for section in sections if isinstance(section, list) for entry in section):
        if not isinstance(entry, dict):
            continue
        for path, flags in entry.items():
            if isinstance(flags, dict):
                where = posixpath.normpath(posixpath.join(wdir, str(path)))
                if flags.get("cache") == "false":
                    uncached.append(where)
                if isinstance(flags.get("remote"), str):
                    remotes.append((where, flags["remote"]))
    return StageFlags(wdir, tuple(uncached), tuple(remotes), group)


def _names(pattern: str, path: str) -> bool:
    """Whether an out's path in `dvc.yaml`, `${...}` included, can be the resolved `path`."""
    if "${" not in pattern:
        return pattern == path
    return re.fullmatch(".*".join(map(re.escape, _TEMPLATE.split(pattern))), path) is not None


def _paths(raw: Any, folder: str) -> list[str]:
    """The plain paths in a list whose items are paths or one-key maps; templates are left out."""
    if not isinstance(raw, list):
        return []
    names = [next(iter(item)) if isinstance(item, dict) and item else item for item in raw]
    plain = [name for name in names if isinstance(name, str) and "${" not in name]
    return [parse_path(name, base=folder) for name in plain]


def _folder(raw: Any, base: str) -> str:
    if not isinstance(raw, str) or posixpath.normpath(raw) == ".":
        return base
    if "${" in raw:
        raise Integrity(f"wdir {printable(raw)!r} names a variable that is not to be found")
    joined = posixpath.normpath(posixpath.join(base, raw))
    return "" if joined == "." else parse_path(raw, base=base, what="wdir")


def _mapping(raw: Any, name: str) -> dict[str, Any]:
    if raw in (None, ""):
        return {}
    if not isinstance(raw, dict):
        raise Integrity(f"{name} is not the mapping that DVC writes")
    return raw


def _list(raw: Any, name: str) -> list[Any]:
    if raw in (None, ""):
        return []
    if not isinstance(raw, list):
        raise Integrity(f"{name} holds no list where DVC writes one")
    return raw


def _count(raw: Any) -> int | None:
    return int(raw) if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 19 else None
