"""Releases, and the words that people use to name them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelctl.domain.paths import printable
from modelctl.domain.tags import ReleaseName
from modelctl.domain.versions import Version, parse_version
from modelctl.errors import NotFound, Usage


@dataclass(frozen=True, slots=True)
class Tag:
    """A Git tag: its short name, the object it is, and the commit that it leads to."""

    name: str
    object: str
    commit: str
    date: int
    author: str
    annotated: bool


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a model, recorded by a tag. `name` is None for a tag outside the formats."""

    tag: Tag
    name: ReleaseName | None

    @property
    def model(self) -> str | None:
        """The model that the tag names."""
        return self.name.model if self.name else None

    @property
    def directory(self) -> str | None:
        """The folder that the tag names, in GTO's directory form."""
        return self.name.directory if self.name else None

    @property
    def version(self) -> Version | None:
        """The version that the tag names."""
        return self.name.version if self.name else None

    @property
    def label(self) -> str:
        """What people call it: `v5`, or the tag where that says no version."""
        return str(self.version) if self.version else self.tag.name


def sort_releases(releases: Iterable[Release]) -> list[Release]:
    """Newest version first, model by model; tags without a version last."""
    known = [release for release in releases if release.version is not None]
    rest = sorted((r for r in releases if r.version is None), key=lambda r: r.tag.name)
    known.sort(key=lambda release: release.tag.name)
    known.sort(key=lambda release: release.version.key if release.version else (), reverse=True)
    known.sort(key=lambda release: release.model or "")
    return known + rest


def resolve_release(words: Sequence[str], releases: Iterable[Release], tags: Iterable[Tag]) -> Release:
    """Return the release that `words` (one or two) name.

    A tag named in full is itself; else `v5`, `5`, `churn v5`, `churn-v5` and `churn@v5` are looked up
    among `releases`. Raises `NotFound` with the nearest names, or `Usage` when several are meant.
    """
    known, every = list(releases), list(tags)
    text = " ".join(words)
    if not 1 <= len(words) <= 2:
        raise Usage(f"{printable(text)!r} is not a release", hint="a release is one or two words: v4, or churn v4")
    if len(words) == 1:
        full = words[0].removeprefix("refs/tags/")
        exact = next((tag for tag in every if tag.name == full), None)
        if exact:
            release = next((r for r in known if r.tag.name == full), Release(exact, None))
            _check_alone(release, full, words[0], known)
            return release
    found = _by_version(words, known)
    if len({(release.tag.commit, release.model, release.directory) for release in found}) == 1:
        return found[0]
    if found:
        names = ", ".join(sorted(release.tag.name for release in found))
        raise Usage(f"{printable(text)} is ambiguous: {names}", hint=f"name one in full: {found[0].tag.name}")
    raise _not_found(words, known, every)


def _by_version(words: Sequence[str], known: list[Release]) -> list[Release]:
    model, version = _split(words)
    if version is None:
        return []
    mine = [release for release in known if model is None or model in _model_names(release)]
    same = [release for release in mine if release.version and release.version.key[:3] == version.key[:3]]
    spelt = {(r.directory, r.model) for r in same if _is_exactly(r, version)}
    return [r for r in same if (r.directory, r.model) not in spelt or _is_exactly(r, version)]


def _split(words: Sequence[str]) -> tuple[str | None, Version | None]:
    """The model (None: any) and the version that one or two words name."""
    if len(words) == 2:
        return words[0], parse_version(words[1])
    if version := parse_version(words[0]):
        return None, version
    for separator in ("@", "-v"):
        model, found, rest = words[0].rpartition(separator)
        if found and model:
            return model, parse_version(rest)
    return None, None


def _model_names(release: Release) -> set[str | None]:
    if release.directory is None:
        return {release.model}
    return {release.model, f"{release.directory}={release.model}", f"{release.directory}/{release.model}"}


def _check_alone(release: Release, full: str, word: str, known: list[Release]) -> None:
    """A tag `v4` beside a release `model-v4` of another commit is ambiguous unless the ref is given."""
    if word.startswith("refs/tags/"):
        return
    version = parse_version(full)
    others = [r for r in known if r.tag.commit != release.tag.commit and _is_exactly(r, version)]
    if others:
        names = ", ".join(sorted([full, *(r.tag.name for r in others)]))
        raise Usage(
            f"{full} is ambiguous: {names}",
            hint=f"name one in full: refs/tags/{full} or {others[0].tag.name}",
        )


def _is_exactly(release: Release, version: Version | None) -> bool:
    """Whether a release's tag spells the version like that: `v1.2` and `v1.2.0` are told apart."""
    return version is not None and release.version is not None and release.version.text == version.text


def _not_found(words: Sequence[str], known: list[Release], every: list[Tag]) -> NotFound:
    text = printable(" ".join(words))
    if not every:
        return NotFound(f"no release {text}: this clone has no tags", hint="git fetch --tags origin")
    if any(text == r.model for r in known):
        return NotFound(f"{text} is a model: which release of it?", hint=f"modelctl list {text}")
    model, version = _split(words)
    mine = [r for r in known if model is None or model in _model_names(r)] or known
    near = _nearest(words, version, sort_releases(mine), every)
    models = {r.model for r in mine}
    of = model or (models.pop() if len(models) == 1 else None) or "the repository"
    named = text if version is None or (model is None and version.is_prerelease) else version
    return NotFound(f"{of} has no release {named}", hint=f"nearest are {', '.join(near)} — modelctl list")


def _nearest(words: Sequence[str], version: Version | None, mine: list[Release], every: list[Tag]) -> list[str]:
    labels = [tag.name for tag in every]
    if version and mine:
        alike = difflib.get_close_matches(words[-1], labels, n=1, cutoff=0.8) if version.is_prerelease else []
        above = [r for r in mine if r.version and r.version > version][-1:]
        below = [r for r in mine if r.version and r.version < version][: 3 - len(above)]
        names = [*alike, *(r.label for r in reversed([*above, *below]))]
        if names:
            return list(dict.fromkeys(names))[:3]
    return difflib.get_close_matches(words[-1], labels, n=3, cutoff=0.3) or sorted(labels)[:3]
