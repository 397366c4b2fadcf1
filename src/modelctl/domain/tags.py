"""The grammar of release tags.

`<model>-v<version>` is ours; `<model>@v<version>` with its directory form is GTO's
(https://dvc.org/doc/gto/user-guide#git-tags-format); settings add others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from modelctl.domain.paths import has_control
from modelctl.domain.versions import Version, parse_version

DEFAULT_MODEL = "model"
_GTO = re.compile(
    r"(?:(?P<directory>[^=@]+)=)?(?P<model>[a-zA-Z0-9](?:[\w/-]*[a-zA-Z0-9])?)"
    r"@(?P<version>v[^!#@]+)(?P<bang>!)?(?:#(?P<counter>\d+))?"
)
_MODEL = re.compile(r"[A-Za-z0-9_](?:[\w./-]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """What a tag's name says: which version of which model (None: of whatever the commit has)."""

    model: str | None
    version: Version
    directory: str | None = None
    withdrawn: bool = False


def parse_tag(name: str, formats: Iterable[str] = ()) -> ReleaseName | None:
    """Read a tag's short name; None when it is not a release. `formats` come before the built-in forms."""
    if has_control(name):
        return None
    for text in formats:
        if found := _parse_format(name, text):
            return found
    if match := _GTO.fullmatch(name):
        version = parse_version(match["version"])
        if version is None:
            return None
        return ReleaseName(match["model"], version, match["directory"], bool(match["bang"]))
    for split in range(len(name) - 2, 0, -1):
        if name[split : split + 2] in {"-v", "-V"} and (version := parse_version(name[split + 1 :])):
            directory, _, model = name[:split].rpartition("=")
            if _MODEL.fullmatch(model):
                return ReleaseName(model, version, directory or None)
    return None


def format_tag(model: str, version: Version, formats: Iterable[str] = ()) -> str:
    """Return the tag that `release` writes for a version of a model."""
    for text in formats:
        return text.replace("{model}", model).replace("{version}", version.text)
    return f"{model}-v{version.text}"


def _parse_format(name: str, text: str) -> ReleaseName | None:
    pattern = re.escape(text).replace(r"\{model\}", r"(?P<model>.+)").replace(r"\{version\}", r"(?P<version>.+)")
    match = re.fullmatch(pattern, name)
    version = parse_version(match["version"]) if match else None
    if match is None or version is None:
        return None
    model = match.groupdict().get("model")
    if model is not None and not _MODEL.fullmatch(model):
        return None
    return ReleaseName(model, version)
