"""Versions of releases, ordered by number."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

_VERSION = re.compile(
    r"(?P<numbers>\d{1,18}(?:\.\d{1,18}){0,3})"
    r"(?:[-.]?(?P<pre>[A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?(?:\.[0-9A-Za-z-]+)*|(?<=-)[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_RUN = re.compile(r"\d+|\D+")


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A release's version: one to four numbers, then an optional pre-release and build.

    Order follows Semantic Versioning 2.0.0 section 11, with two liberties that real repositories
    need: missing numbers count as zero, and a run of digits inside a pre-release identifier
    compares by number (`rc10` comes after `rc9`).
    """

    text: str = field(compare=False)
    key: tuple[object, ...] = field(repr=False)

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key

    def __str__(self) -> str:
        return f"v{self.text}"

    @property
    def is_prerelease(self) -> bool:
        """Whether this comes before the version of the same numbers."""
        return self.key[1] == 0


def parse_version(text: str) -> Version | None:
    """Read `5`, `v5`, `1.2.0`, `v1.2.0-rc1`, `1.3-ray-cpu`; None when it is no version.

    The text without its leading `v` is kept, so `str()` gives back what the tag says.
    """
    bare = text[1:] if text[:1] in {"v", "V"} else text
    match = _VERSION.fullmatch(bare)
    if match is None:
        return None
    numbers = [int(part) for part in match["numbers"].split(".")]
    numbers += [0] * (4 - len(numbers))
    return Version(bare, (tuple(numbers), *_prerelease_key(match["pre"]), bare))


def _prerelease_key(pre: str | None) -> tuple[int, tuple[object, ...]]:
    if pre is None:
        return (1, ())
    return (0, tuple(_identifier_key(part) for part in pre.split(".")))


def _identifier_key(identifier: str) -> tuple[tuple[int, int, str], ...]:
    """Sort numbers before words and digits inside words by their value."""
    return tuple((0, int(run), "") if run.isdigit() else (1, 0, run) for run in _RUN.findall(identifier))
