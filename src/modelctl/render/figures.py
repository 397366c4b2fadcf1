"""Numbers, names and times as people read them."""

from __future__ import annotations

import json
import math
from typing import Any

from modelctl.domain.documents import is_number
from modelctl.domain.tags import parse_tag
from modelctl.switching.preflight import format_bytes

_LONGEST = 60


def format_value(value: Any, *, verbose: bool = False) -> str:
    """A metric or parameter: four significant digits, long texts cut; in full with `verbose`."""
    if value is None:
        return "-"
    if isinstance(value, float) and not verbose:
        return _digits(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if verbose or len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def format_difference(difference: float | None, *, verbose: bool = False) -> str:
    """How much a number went up or down, with its sign; empty where there is none."""
    if difference is None:
        return ""
    sign = "+" if difference > 0 else ""
    return sign + format_value(difference, verbose=verbose)


def format_size(size: int | None) -> str:
    """Bytes for people, `?` when nobody says how many."""
    return "?" if size is None else format_bytes(size)


def format_metric(value: Any, *, verbose: bool = False) -> str:
    """A metric in a column of its own: empty where a release does not have it."""
    return "" if value is None else format_value(value, verbose=verbose)


def format_oid(oid: str | None, *, verbose: bool = False) -> str:
    """An object name: seven digits are enough to tell one from another."""
    return "?" if oid is None else oid if verbose else oid[:7]


def format_time(iso: str) -> str:
    """An ISO 8601 time to the minute."""
    return iso[:16].replace("T", " ")


def format_person(who: str, *, verbose: bool = False) -> str:
    """A person's name; with the address when `verbose`."""
    return who if verbose else who.partition(" <")[0]


def format_seconds(seconds: float) -> str:
    """A duration as a stopwatch shows it."""
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def count(number: int, noun: str) -> str:
    """`1 object`, `3 objects`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short_release(word: str) -> str:
    """`v5` for the tag `model-v5`; a tag that says no version, and a commit, stay as they are."""
    name = parse_tag(word)
    return str(name.version) if name else word


def _digits(value: float) -> str:
    if not math.isfinite(value) or not is_number(value):
        return str(value)
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
