"""The trailers that bind a release's tag to its bytes.

`release` ends the message of an annotated tag with Git trailers (git-interpret-trailers(1))::

    Modelctl-Model: churn
    Modelctl-Version: v5
    Modelctl-Out: models/churn.skops md5=0f3a... sha256=77c1... size=329720

For a directory, `sha256` is that of the text that `sha256sum` prints for its files, sorted by path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_OUT = re.compile(
    r"Modelctl-Out: (?P<path>.+) md5=(?P<oid>[0-9a-f]{32}(?:\.dir)?) sha256=(?P<sha256>[0-9a-f]{64}) size=(?P<size>\d+)"
)
_FIELD = re.compile(r"Modelctl-(?P<key>Model|Version): (?P<value>.+)")


@dataclass(frozen=True, slots=True, order=True)
class BoundOut:
    """One out as a tag binds it. `size` is in bytes."""

    path: str
    oid: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Binding:
    """What a tag says its release is."""

    model: str
    version: str
    outs: tuple[BoundOut, ...]


def format_binding(binding: Binding) -> str:
    """Return the trailers; `parse_binding` reads them back."""
    lines = [f"Modelctl-Model: {binding.model}", f"Modelctl-Version: {binding.version}"]
    lines += [f"Modelctl-Out: {o.path} md5={o.oid} sha256={o.sha256} size={o.size}" for o in binding.outs]
    return "\n".join(lines)


def parse_binding(message: str) -> Binding | None:
    """Read the trailers of a tag's message; None when it has none."""
    fields = {match["key"]: match["value"] for match in _FIELD.finditer(message)}
    outs = tuple(BoundOut(m["path"], m["oid"], m["sha256"], int(m["size"])) for m in _OUT.finditer(message))
    if "Model" not in fields or "Version" not in fields:
        return None
    return Binding(fields["Model"], fields["Version"], outs)


def directory_sha256_text(files: Iterable[tuple[str, str]]) -> str:
    """The text whose SHA-256 stands for a directory, from its (path, sha256) pairs."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files))
