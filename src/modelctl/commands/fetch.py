"""`fetch`: objects into the cache, so that a later rollback needs no network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from modelctl.domain.pointers import Out
from modelctl.domain.releases import Release, sort_releases
from modelctl.domain.versions import parse_version
from modelctl.errors import Integrity, NotFound, Unavailable, Usage
from modelctl.switching.acquire import Progress, acquire
from modelctl.switching.clone import Clone
from modelctl.switching.live import get_release, models_of_release


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedRelease:
    """One release: what had to be fetched for it, and why it could not be had whole (`error`, else empty)."""

    release: str
    tag: str
    objects: int
    bytes: int
    set_aside: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The releases; those without an error can be rolled back to without the network now."""

    releases: tuple[FetchedRelease, ...]

    @property
    def ok(self) -> bool:
        """Whether every release is here."""
        return not any(release.error for release in self.releases)


def fetch(
    clone: Clone, *, releases: tuple[str, ...] = (), last: int | None = None, progress: Progress | None = None
) -> FetchResult:
    """Bring the objects of `releases`, or of the `last` N of each model, into the cache, verified.

    The workspace is not touched. A release that cannot be had whole does not keep the others from
    coming: its row says why.
    """
    if bool(releases) == (last is not None):
        raise Usage("name releases, or say --last N", hint="modelctl fetch --last 3")
    names = _group(releases, {release.model for release in clone.releases})
    wanted = [get_release(clone, words) for words in names] or _last(clone, last or 0)
    with clone.lock(wait=60):
        return FetchResult(tuple(_fetch(clone, release, progress) for release in wanted))


def _fetch(clone: Clone, release: Release, progress: Progress | None) -> FetchedRelease:
    try:
        outs = restorable_outs(clone, release)
        done = acquire(clone, outs, commit=release.tag.commit, progress=progress)
    except (Unavailable, Integrity, NotFound) as exc:
        return FetchedRelease(release=release.label, tag=release.tag.name, objects=0, bytes=0, error=exc.message)
    return FetchedRelease(
        release=release.label,
        tag=release.tag.name,
        objects=done.objects,
        bytes=done.bytes,
        set_aside=tuple(str(item.kept) for item in done.set_aside),
    )


def restorable_outs(clone: Clone, release: Release) -> list[Out]:
    """The outs of a release that DVC can bring back; raises when the release cannot be read."""
    models = models_of_release(clone, release)
    if problem := next((model.problem for model in models if model.problem), None):
        raise Integrity(f"{release.tag.name} is not readable: {problem}")
    return [out for model in models for out in model.outs if out.unrestorable is None]


def _group(words: tuple[str, ...], models: Collection[str | None]) -> list[tuple[str, ...]]:
    """One or two words a release: the name of a model takes the version behind it along."""
    found: list[tuple[str, ...]] = []
    rest = list(words)
    while rest:
        count = 2 if rest[0] in models and len(rest) > 1 and parse_version(rest[1]) else 1
        found.append(tuple(rest[:count]))
        rest = rest[count:]
    return found


def _last(clone: Clone, count: int) -> list[Release]:
    if count < 1:
        raise Usage("--last takes a number from 1", hint="modelctl fetch --last 3")
    found: list[Release] = []
    taken: dict[str | None, int] = {}
    for release in sort_releases(clone.releases):
        if taken.get(release.model, 0) < count:
            taken[release.model] = taken.get(release.model, 0) + 1
            found.append(release)
    return found
