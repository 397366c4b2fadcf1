"""Releases and pointers as Git holds them: read from objects, never from the working tree."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from modelctl.domain.pointers import (
    LockedStage,
    Out,
    Pipeline,
    has_conflict,
    parse_dvc_file,
    parse_lock,
    parse_pipeline,
)
from modelctl.domain.releases import Release, Tag
from modelctl.domain.settings import FILES, Settings, parse_settings
from modelctl.domain.snapshots import Artifact, Problem, Snapshot
from modelctl.domain.tags import parse_tag
from modelctl.domain.templates import Read
from modelctl.errors import Integrity, ModelctlError
from modelctl.stores.git_objects import ObjectReader

_NAMES = ("dvc.yaml", "dvc.lock", ".dvcignore", "params.yaml")
POINTER_FILES = (":(top,glob)**/*.dvc", *(f":(top,glob)**/{name}" for name in _NAMES))
"""Pathspecs of the files that `is_pointer` means."""

_ROOT_MARK = ".dvc/"
_EMPTY = Pipeline({}, (), (), ())
_Entries = tuple[tuple[str, str], ...]
_Texts = dict[str, bytes | None]


@dataclass(slots=True)
class Catalog:
    """Reads the snapshots of many commits; shared trees and pointers are read and parsed once."""

    objects: ObjectReader
    _trees: dict[str, _Entries] = field(default_factory=dict)
    _pipelines: dict[tuple[str, str], list[tuple[_Texts, Pipeline | Problem]]] = field(default_factory=dict)
    _pointers: dict[tuple[str, str, str], tuple[Out, ...] | Problem] = field(default_factory=dict)
    _locks: dict[tuple[str, str, int], tuple[LockedStage, ...] | Problem] = field(default_factory=dict)
    _snapshots: dict[str, Snapshot] = field(default_factory=dict)
    _ignores: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def snapshot(self, commit: str) -> Snapshot:
        """What DVC declares at `commit`. Pointers that cannot be read are its `problems`."""
        if commit not in self._snapshots:
            found = self.objects.read(commit)
            if found is None or found[0] != "commit":
                raise Integrity(f"commit {commit[:12]} is not in this clone", hint="git fetch --unshallow --tags")
            tree = found[1].split(b"\n", 1)[0].removeprefix(b"tree ").decode()
            self._snapshots[commit] = self._read(commit, dict(self._walk(tree)))
        return self._snapshots[commit]

    def overlaid(self, commit: str, changed: dict[str, bytes | None]) -> Snapshot:
        """The snapshot of `commit` with some pointer files replaced (None: removed)."""
        found = self.objects.read(commit)
        if found is None:
            raise Integrity(f"commit {commit[:12]} is not in this clone")
        tree = found[1].split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        entries = dict(self._walk(tree))
        overlay = _Overlay(self.objects, {f"text:{path}": data for path, data in changed.items() if data is not None})
        for path, data in changed.items():
            if data is None:
                entries.pop(path, None)
            elif is_pointer(path):
                entries[path] = f"text:{path}"
        return Catalog(overlay)._read(commit, entries)  # noqa: SLF001  # the same class

    def text(self, commit: str, path: str) -> bytes | None:
        """The content of a tracked file at a commit, None when it has none."""
        found = self.objects.read(f"{commit}:{path}")
        return found[1] if found and found[0] == "blob" else None

    def settings(self, commit: str) -> Settings | None:
        """The settings that a commit holds."""
        for name in FILES:
            data = self.text(commit, name)
            if data is not None and (found := parse_settings(data, name)) is not None:
                return found
        return None

    def _walk(self, tree: str) -> _Entries:
        """Every file below a tree that says something about DVC: (path, blob)."""
        if tree not in self._trees:
            found: list[tuple[str, str]] = []
            for mode, name, oid in self.objects.tree(tree):
                if mode == "40000":
                    if name == ".dvc":
                        found.append((_ROOT_MARK, oid))
                        continue
                    found += [(f"{name}/{path}", blob) for path, blob in self._walk(oid)]
                elif mode != "160000" and is_pointer(name):
                    found.append((name, oid))
            self._trees[tree] = tuple(found)
        return self._trees[tree]

    def _read(self, commit: str, entries: dict[str, str]) -> Snapshot:
        roots = sorted(path.removesuffix(_ROOT_MARK).rstrip("/") for path in entries if _is_mark(path))
        outs: list[Out] = []
        stages: list[LockedStage] = []
        problems: list[Problem] = []
        artifacts: list[Artifact] = []
        metrics: list[str] = []
        params: list[str] = []
        ignored = _Ignored({path: self._patterns(blob) for path, blob in entries.items() if _is_ignore(path)})

        def read(path: str) -> bytes | None:
            blob = entries.get(path)
            return self._blob(blob) if blob else None if is_pointer(path) else self.text(commit, path)

        for path, blob in sorted(entries.items()):
            name = posixpath.basename(path)
            root = _root_of(path, roots)
            if root is None or _is_mark(path) or ignored.matches(path, root):
                continue
            if name == "dvc.yaml":
                pipeline = self._pipeline(path, blob, read)
                if isinstance(pipeline, Problem):
                    problems.append(pipeline)
                    continue
                folder = posixpath.dirname(path)
                problems += [Problem(path, reason) for reason in pipeline.problems]
                artifacts += [Artifact(n, folder, p, kind) for n, p, kind in pipeline.artifacts]
                metrics += pipeline.metrics
                params += pipeline.params
            elif name == "dvc.lock":
                yaml_path = posixpath.join(posixpath.dirname(path), "dvc.yaml")
                yaml_blob = entries.get(yaml_path)
                locked = self._lock(
                    path, blob, self._pipeline(yaml_path, yaml_blob, read) if yaml_blob else _EMPTY, root
                )
                if isinstance(locked, Problem):
                    problems.append(locked)
                    continue
                stages += locked
                outs += [out for stage in locked for out in stage.outs]
            elif name.endswith(".dvc"):
                pointed = self._pointer(path, blob, root)
                if isinstance(pointed, Problem):
                    problems.append(pointed)
                else:
                    outs += pointed
        return Snapshot(
            commit,
            tuple(roots),
            tuple(sorted(outs, key=lambda out: (out.path, out.pointer))),
            tuple(stages),
            tuple(artifacts),
            tuple(dict.fromkeys(metrics)),
            tuple(dict.fromkeys(params)),
            tuple(problems),
        )

    def _pipeline(self, path: str, blob: str, read: Read) -> Pipeline | Problem:
        """What the `dvc.yaml` says, which depends on the files that its templates take their values from."""
        known = self._pipelines.setdefault((path, blob), [])
        for texts, found in known:
            if all(read(name) == text for name, text in texts.items()):
                return found
        texts, data = {}, self._blob(blob)

        def note(name: str) -> bytes | None:
            return texts.setdefault(name, read(name))

        parsed: Pipeline | Problem
        try:
            parsed = parse_pipeline(data, path, note)
        except ModelctlError as exc:
            parsed = Problem(path, _why(exc, data))
        known.append((texts, parsed))
        return parsed

    def _lock(self, path: str, blob: str, pipeline: Pipeline | Problem, root: str) -> tuple[LockedStage, ...] | Problem:
        key = (path, blob, id(pipeline))
        if key not in self._locks:
            data = self._blob(blob)
            try:
                known = _EMPTY if isinstance(pipeline, Problem) else pipeline
                self._locks[key] = parse_lock(data, path, known, root=root)
            except ModelctlError as exc:
                self._locks[key] = Problem(path, _why(exc, data))
        return self._locks[key]

    def _pointer(self, path: str, blob: str, root: str) -> tuple[Out, ...] | Problem:
        key = (path, blob, root)
        if key not in self._pointers:
            data = self._blob(blob)
            try:
                self._pointers[key] = parse_dvc_file(data, path, root=root)
            except ModelctlError as exc:
                self._pointers[key] = Problem(path, _why(exc, data))
        return self._pointers[key]

    def _patterns(self, blob: str) -> tuple[str, ...]:
        if blob not in self._ignores:
            lines = self._blob(blob).decode("utf-8", "replace").splitlines()
            self._ignores[blob] = tuple(line for line in lines if line.strip() and not line.startswith("#"))
        return self._ignores[blob]

    def _blob(self, oid: str) -> bytes:
        found = self.objects.read(oid)
        return found[1] if found else b""


class _Overlay(ObjectReader):
    """An object reader that also answers for a few texts that are not in Git."""

    def __init__(self, inner: ObjectReader, texts: dict[str, bytes]) -> None:
        self._inner = inner
        self._texts = texts

    def read(self, name: str) -> tuple[str, bytes] | None:
        return ("blob", self._texts[name]) if name in self._texts else self._inner.read(name)


class _Ignored:
    """The `.dvcignore` files of a commit: DVC does not see pointers that they exclude."""

    def __init__(self, patterns: dict[str, tuple[str, ...]]) -> None:
        self._specs = {}
        if any(patterns.values()):
            from pathspec import GitIgnoreSpec

            self._specs = {
                posixpath.dirname(path): GitIgnoreSpec.from_lines(lines) for path, lines in patterns.items() if lines
            }

    def matches(self, path: str, root: str) -> bool:
        """Whether the files of the DVC root `root` exclude `path`."""
        return any(
            spec.match_file(posixpath.relpath(path, folder) if folder else path)
            for folder, spec in self._specs.items()
            if _is_below(path, folder) and (folder == root or _is_below(folder, root))
        )


def list_releases(tags: Iterable[Tag], settings: Settings) -> list[Release]:
    """Those of `tags` that are releases; a version that GTO deregistered is none."""
    named = [(tag, name) for tag in tags if (name := parse_tag(tag.name, settings.tag_formats))]
    withdrawn = {(n.directory, n.model, n.version.text): tag.date for tag, n in named if n.withdrawn}
    return [
        Release(tag, name)
        for tag, name in named
        if not name.withdrawn and withdrawn.get((name.directory, name.model, name.version.text), -1) < tag.date
    ]


def is_pointer(path: str) -> bool:
    """Whether a file of that name says something about DVC."""
    name = posixpath.basename(path)
    return name in _NAMES or (name.endswith(".dvc") and name != ".dvc")


def read_worktree(top: Path, paths: Iterable[str]) -> dict[str, bytes | None]:
    """The content of pointer files as they are in the working tree now; None for one that is gone."""
    found: dict[str, bytes | None] = {}
    for path in paths:
        if is_pointer(path):
            try:
                found[path] = (top / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                found[path] = None
    return found


def _is_mark(path: str) -> bool:
    """Whether this entry says that a `.dvc` folder is there, rather than naming a file."""
    return path == _ROOT_MARK or path.endswith("/" + _ROOT_MARK)


def _is_ignore(path: str) -> bool:
    return posixpath.basename(path) == ".dvcignore"


def _root_of(path: str, roots: Iterable[str]) -> str | None:
    """The innermost DVC root above `path`."""
    above = [root for root in roots if _is_below(path, root)]
    return max(above, key=len, default=None)


def _is_below(path: str, folder: str) -> bool:
    return not folder or path.startswith(folder + "/")


def _why(exc: ModelctlError, data: bytes) -> str:
    return "it holds Git conflict markers" if has_conflict(data) else exc.message
