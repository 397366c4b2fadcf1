"""Text documents (YAML, JSON, TOML) as plain values, read strictly."""

from __future__ import annotations

import json
import math
import re
import tomllib
from typing import Any

import yaml

from modelctl.errors import Integrity

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 60

_SUSPECT = re.compile(r"[&*]|(?:[\[{][^\]}]*){8}|(?:- ){8}")
_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WORDS = {"null": None, "Null": None, "NULL": None, "~": None, "": None, "true": True, "false": False}
_WORDS |= {"True": True, "TRUE": True, "False": False, "FALSE": False}

_BaseLoader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _ValueLoader(_BaseLoader):  # type: ignore[misc]  # the C loader has no stubs
    """Plain scalars by the core schema of YAML 1.2, which DVC reads; PyYAML's own is 1.1.

    A plain scalar has the style None in the Python loader and an empty one in C.
    """

    def construct_scalar(self, node: Any) -> Any:
        text = super().construct_scalar(node)
        return text if node.style else parse_scalar(text)


def parse_scalar(text: str) -> Any:
    """Return the value of a plain YAML 1.2 scalar: null, boolean, integer, float, else the text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 16) if text.startswith("0x") else int(text) if len(text) < 400 else text
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(inf|nan)", r"\1", text.lower()))
    return text


def load_yaml(data: bytes, *, name: str, aliases: bool = False) -> Any:
    """Return the document in `data` with every scalar as text; `name` is for the error.

    Raises `Integrity` when it is no YAML, too large, nested too deep, or (unless `aliases`) when it
    uses anchors, which no pointer that DVC writes does.
    """
    return _load(data, _BaseLoader, name=name, aliases=aliases)


def load_values(data: bytes, *, name: str) -> Any:
    """Return the document in `data`, a `.json`, `.toml` or YAML file by `name`, as typed values.

    Raises `Integrity` when it cannot be read as that.
    """
    text = _text(data, name)
    try:
        if name.endswith(".json"):
            return json.loads(text)
        if name.endswith(".toml"):
            return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Integrity(f"{name} cannot be read: {_first_line(exc)}") from exc
    return _load(data, _ValueLoader, name=name, aliases=True)


def _load(data: bytes, loader: Any, *, name: str, aliases: bool) -> Any:
    text = _text(data, name)
    try:
        if _SUSPECT.search(text):
            _check_events(text, name, aliases=aliases)
        return yaml.load(text, Loader=loader)  # noqa: S506  # builds plain values only: see the classes above
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as exc:
        raise Integrity(f"{name} is not readable YAML: {_first_line(exc)}") from exc


def _check_events(text: str, name: str, *, aliases: bool) -> None:
    """Refuse deep nesting and alias bombs before anything is built from the document."""
    depth = used = 0
    for event in yaml.parse(text, Loader=_BaseLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            used += 1
        if depth > MAX_DEPTH:
            raise Integrity(f"{name} is nested deeper than {MAX_DEPTH} levels")
        if used > (100 if aliases else 0):
            raise Integrity(f"{name} uses YAML aliases")


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise Integrity(f"{name} has {len(data)} bytes; more than {MAX_BYTES} is no text to read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Integrity(f"{name} is not UTF-8 text") from exc


def _first_line(exc: BaseException) -> str:
    mark = getattr(exc, "problem_mark", None)
    where = f" (line {mark.line + 1})" if mark else ""
    what = getattr(exc, "problem", None) or str(exc).partition("\n")[0] or type(exc).__name__
    return f"{what}{where}"


def is_number(value: object) -> bool:
    """Whether `value` is a finite number and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def flatten(document: Any, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted name; lists are leaves. Depth and count are bounded."""
    if not isinstance(document, dict) or depth > 20:
        return {prefix: document} if prefix else {}
    found: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        found |= flatten(value, name, depth + 1)
        if len(found) > 10_000:
            break
    return found
