"""The envelope of `--json`: one object on standard output, on failure too (docs/json.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

from modelctl.render.failure import Failure


def format_envelope(
    command: str, *, result: Any = None, failure: Failure | None = None, messages: Iterable[str] = ()
) -> str:
    """Return the envelope as one line of JSON.

    It is plain ASCII: whatever characters a repository's strings hold, a terminal shows them as escapes.
    """
    envelope = {
        "schema": f"modelctl.{command}/1",
        "ok": failure is None,
        "result": as_plain(result),
        "error": None
        if failure is None
        else {name: getattr(failure, name) for name in ("kind", "message", "hint", "exit_code")},
        "messages": list(messages),
    }
    return json.dumps(envelope, allow_nan=False).replace("\x7f", "\\u007f") + "\n"


def as_plain(value: Any) -> Any:
    """Return `value` as what JSON has: dataclasses as objects, tuples as lists, paths as strings.

    Numbers that JSON lacks become the strings `nan`, `inf` and `-inf`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value) if isinstance(value, PurePath) or not hasattr(value, "isoformat") else value.isoformat()
