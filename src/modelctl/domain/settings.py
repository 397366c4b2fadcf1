"""Settings of a repository: `modelctl.toml`, or `[tool.modelctl]` in `pyproject.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelctl.domain.paths import parse_path
from modelctl.errors import Usage

FILES = ("modelctl.toml", "pyproject.toml")
_KEYS = {"tag_format", "models", "metrics", "git_remote"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a team may fix; every default serves."""

    tag_formats: tuple[str, ...] = ()
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    git_remote: str | None = None


def parse_settings(data: bytes, name: str) -> Settings | None:
    """Return the settings in the file `name`, or None when it has none; raises `Usage` for a wrong one."""
    try:
        document: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        if name == "pyproject.toml":
            return None
        raise Usage(f"{name} is not readable TOML: {exc}") from exc
    if name == "pyproject.toml":
        found = document.get("tool", {}).get("modelctl") if isinstance(document.get("tool"), dict) else None
        if found is None:
            return None
        document = found
    if unknown := sorted(set(document) - _KEYS):
        raise Usage(f"{name} has an unknown setting: {unknown[0]}", hint=f"known are {', '.join(sorted(_KEYS))}")
    return Settings(
        tag_formats=_formats(document.get("tag_format", ()), name),
        models=_models(document.get("models", {}), name),
        metrics=_texts(document.get("metrics", ()), name, "metrics"),
        git_remote=document.get("git_remote"),
    )


def _formats(raw: object, name: str) -> tuple[str, ...]:
    formats = _texts([raw] if isinstance(raw, str) else raw, name, "tag_format")
    for text in formats:
        if text.count("{version}") != 1 or text.count("{model}") > 1:
            raise Usage(
                f"{name}: tag_format {text!r} needs {{version}} once",
                hint='tag_format = "{model}-v{version}"',
            )
    return formats


def _models(raw: object, name: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(raw, dict):
        raise Usage(f"{name}: models is not a table", hint='models.churn = ["models/churn.pkl"]')
    return {
        str(model): tuple(
            parse_path(path) for path in _texts([paths] if isinstance(paths, str) else paths, name, model)
        )
        for model, paths in raw.items()
    }


def _texts(raw: object, name: str, key: str) -> tuple[str, ...]:
    if isinstance(raw, list | tuple) and all(isinstance(item, str) for item in raw):
        return tuple(raw)
    raise Usage(f"{name}: {key} is not a text or a list of texts")
