"""What a shell may complete: releases and models, from the tags of the clone and nothing slower."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelctl.domain.releases import Release, sort_releases
from modelctl.domain.settings import FILES, parse_settings
from modelctl.domain.tags import ReleaseName, parse_tag
from modelctl.errors import ModelctlError
from modelctl.stores.git import Git, open_git

_SAFE = re.compile(r"[\w.@=/+-]+")


def suggest_releases(folder: Path, words: Sequence[str], incomplete: str) -> list[str]:
    """Words for a release, newest first: `v5`; `churn-v5` where several models have releases.

    After the name of a model come its versions. Never raises: in a folder that is no repository there
    is nothing to suggest.
    """
    releases = _releases(folder)
    if words and (mine := [release for release in releases if release.model == words[-1]]):
        return _safe(release.label for release in mine)
    several = len({release.model for release in releases}) > 1
    short = _safe(release.tag.name if several else release.label for release in releases)
    if any(word.startswith(incomplete) for word in short):
        return short
    return _safe(release.tag.name for release in releases)


def suggest_models(folder: Path) -> list[str]:
    """The models that have releases; never raises."""
    return _safe(release.model or "" for release in _releases(folder))


def _releases(folder: Path) -> list[Release]:
    try:
        git = open_git(folder)
        formats = _formats(git)
        named = ((tag, parse_tag(tag.name, formats)) for tag in git.tags())
        return sort_releases(Release(tag, name) for tag, name in named if _is_suggested(name))
    except (ModelctlError, OSError, ValueError):
        return []


def _is_suggested(name: ReleaseName | None) -> bool:
    return name is not None and not name.withdrawn


def _formats(git: Git) -> tuple[str, ...]:
    for name in FILES:
        path = git.top / name
        if path.is_file() and (found := parse_settings(path.read_bytes(), name)):
            return found.tag_formats
    return ()


def _safe(words: Iterable[str]) -> list[str]:
    """The distinct words that no shell reads as anything but a word."""
    return list(dict.fromkeys(word for word in words if _SAFE.fullmatch(word)))
