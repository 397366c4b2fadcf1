"""`path`: a read-only copy of a release's model outside the workspace."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from modelctl.commands.fetch import restorable_outs
from modelctl.domain.pointers import Out
from modelctl.errors import NotFound, Usage
from modelctl.stores import files
from modelctl.stores.objects import build_out
from modelctl.switching.acquire import Progress, acquire
from modelctl.switching.clone import Clone
from modelctl.switching.live import get_release, models_of_release


@dataclass(frozen=True, slots=True, kw_only=True)
class PathResult:
    """Where a release's model can be read. With several outs, `path` is the folder that holds them."""

    release: str
    model: str
    path: Path
    outs: tuple[str, ...]


def path(
    clone: Clone, *, words: tuple[str, ...], model: str | None = None, progress: Progress | None = None
) -> PathResult:
    """Return the path of a read-only copy, made on first use and kept for later ones.

    It shares nothing writable with DVC's cache, and what is there is what the release's pointers name:
    it is built beside, verified, and appears by one rename. Raises `NotFound` for a model that the
    release does not have, `Usage` when it has several and none is named.
    """
    release = get_release(clone, words)
    models = [m for m in models_of_release(clone, release) if model in {None, m.name, m.label}]
    if not models:
        raise NotFound(f"{release.tag.name} has no model {model}", hint=f"modelctl show {release.tag.name}")
    if len(models) > 1:
        names = ", ".join(m.label for m in models)
        raise Usage(
            f"{release.tag.name} has several models: {names}",
            hint=f"modelctl path {words[0]} {models[0].name}",
        )
    chosen = {out.path for out in models[0].outs}
    outs = [out for out in restorable_outs(clone, release) if out.path in chosen]
    if not outs:
        raise NotFound(f"{release.tag.name} has nothing that DVC could restore", hint="modelctl list")
    with clone.lock(wait=60):
        acquire(clone, outs, commit=release.tag.commit, progress=progress)
        folder = _export(clone, outs)
    places = [folder / out.path for out in outs]
    place = places[0] if len(places) == 1 else Path(os.path.commonpath([p.parent for p in places]))
    return PathResult(release=release.label, model=models[0].label, path=place, outs=tuple(map(str, places)))


def _export(clone: Clone, outs: list[Out]) -> Path:
    """The folder, named by its content, that has read-only copies of `outs` at their paths."""
    content = repr(sorted((out.path, out.digest) for out in outs)).encode()
    folder = clone.git.common_dir / "modelctl" / "paths" / hashlib.sha256(content).hexdigest()[:16]
    if folder.exists():
        return folder
    building = folder.with_name(f"{folder.name}.tmp")
    files.remove_tree(building)
    for out in outs:
        place = building / out.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if out.digest is not None:
            build_out(clone.cache(out.root), out.digest, place, ("reflink", "copy"), executable=out.executable)
        _protect(place)
    files.rename(building, folder)
    return folder


def _protect(place: Path) -> None:
    """Take the right to write from everything below `place`."""
    if place.is_file():
        os.chmod(place, 0o444)
        return
    for folder, _, names in os.walk(place, topdown=False):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o444)
        os.chmod(folder, 0o555)
