"""What is live in a clone: the release whose pointers and bytes the workspace matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelctl.domain.pointers import Digest, Out
from modelctl.domain.releases import Release, resolve_release, sort_releases
from modelctl.domain.snapshots import Model, Snapshot, find_models, select_models
from modelctl.errors import ModelctlError, NotFound
from modelctl.stores.objects import Difference, compare_workspace
from modelctl.switching.clone import Clone

_Content = frozenset[tuple[str, Digest | None]]


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model of the workspace, and the release that its pointers are of (None: of no release).

    `same` are other releases with the very same pointers, `differences` where the bytes differ.
    """

    model: Model
    release: Release | None
    same: tuple[Release, ...]
    differences: tuple[tuple[Out, Difference], ...]

    @property
    def is_exact(self) -> bool:
        """Whether the bytes are those of the pointers."""
        return not self.differences


def get_release(clone: Clone, words: Sequence[str]) -> Release:
    """The release that `words` name; raises `NotFound` or `Usage`. A shallow clone may just not have its tag."""
    try:
        return resolve_release(words, clone.releases, clone.tags)
    except NotFound as exc:
        if not clone.git.shallow or not clone.tags:
            raise
        near = exc.hint.partition(" — ")[0]
        raise NotFound(f"{exc.message} in this shallow clone", hint=f"git fetch --tags origin   # {near}") from exc


def hint_of(clone: Clone, hint: str) -> str:
    """The hint where a release was looked for and not found: a shallow clone wants its tags first."""
    return "git fetch --tags origin   # this clone is shallow" if clone.git.shallow else hint


def models_of_release(clone: Clone, release: Release) -> tuple[Model, ...]:
    """The models that a release is about, with their outs at its commit; raises `NotFound`."""
    snapshot = clone.catalog.snapshot(release.tag.commit)
    check_tracks(snapshot, release.tag.name)
    models = find_models(snapshot, clone.settings)
    if release.name is None:
        return models
    return select_models(models, release.name, release.tag.name)


def check_tracks(snapshot: Snapshot, label: str) -> None:
    """Raise `NotFound` for a commit that knows nothing of DVC: one from before it was adopted."""
    if not snapshot.outs and not snapshot.problems:
        raise NotFound(
            f"{label} has no model: DVC tracks nothing at that commit",
            hint=f"git switch --detach {label}   # takes its code, and no model",
        )


def find_live(clone: Clone, snapshot: Snapshot, *, check_bytes: bool = True) -> tuple[LiveModel, ...]:
    """Return what is live of each model that the workspace's pointers declare."""
    found = []
    for model in find_models(snapshot, clone.settings):
        release, same = find_release(clone, model)
        found.append(LiveModel(model, release, same, _differences(clone, model.outs) if check_bytes else ()))
    return tuple(found)


def find_release(clone: Clone, model: Model) -> tuple[Release | None, tuple[Release, ...]]:
    """The release whose pointers are those of `model`, and others with the same; no bytes are read.

    Of several it is the one that was switched to last, else one at HEAD, else the newest.
    """
    wanted = _content(model.outs)
    if not wanted:
        return None, ()
    matches = [release for release in _candidates(clone) if wanted == _content_of(clone, release, model)]
    return (matches[0], tuple(matches[1:])) if matches else (None, ())


def _candidates(clone: Clone) -> Iterator[Release]:
    ordered = sort_releases(clone.releases)
    last = next((e.target.tag for e in reversed(clone.history) if e.happened), None)
    ordered.sort(key=lambda release: release.tag.commit != clone.head.commit)
    ordered.sort(key=lambda release: release.tag.name != last)
    yield from ordered
    if last is not None and all(release.tag.name != last for release in ordered):
        yield from (Release(tag, None) for tag in clone.tags if tag.name == last)


def _content_of(clone: Clone, release: Release, model: Model) -> _Content:
    try:
        models = models_of_release(clone, release)
    except ModelctlError:
        return frozenset()
    mine = [m for m in models if (m.name, m.directory) == (model.name, model.directory)]
    return _content(out for m in mine or models for out in m.outs)


def _content(outs: Iterable[Out]) -> _Content:
    return frozenset(out.content for out in outs if out.unrestorable is None)


def _differences(clone: Clone, outs: Iterable[Out]) -> tuple[tuple[Out, Difference], ...]:
    found = []
    for out in outs:
        if out.digest is not None and out.cached:
            path = clone.git.top / out.path
            if difference := compare_workspace(clone.caches(out), path, out.digest, shown=out.path):
                found.append((out, difference))
    return tuple(found)
