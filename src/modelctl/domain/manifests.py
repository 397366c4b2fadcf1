"""Directory manifests (`.dir` objects): which files a tracked directory holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from modelctl.domain.paths import parse_entry, printable
from modelctl.domain.pointers import Digest
from modelctl.errors import Integrity

_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a tracked directory, by their POSIX path below it."""

    files: Mapping[str, Digest]

    @property
    def folders(self) -> tuple[str, ...]:
        """Every folder below the directory, parents first."""
        found: set[str] = set()
        for path in self.files:
            while (path := path.rpartition("/")[0]) and path not in found:
                found.add(path)
        return tuple(sorted(found))


def parse_manifest(data: bytes, *, digest: Digest) -> Manifest:
    """Return the manifest that the object `digest` holds.

    Raises `Integrity` for anything but a list of distinct, plain relative paths with MD5 hashes, none
    of which is a folder of another.
    """
    name = f"manifest {digest.oid}"
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise Integrity(f"{name} is not JSON") from exc
    if not isinstance(entries, list):
        raise Integrity(f"{name} is not a list")
    files: dict[str, Digest] = {}
    for entry in entries:
        path, md5 = _entry(entry, name)
        if path in files:
            raise Integrity(f"{name} names {printable(path)!r} twice")
        files[path] = Digest(md5, legacy=digest.legacy)
    manifest = Manifest(files)
    for folder in manifest.folders:
        if folder in files:
            raise Integrity(f"{name} has {printable(folder)!r} as a file and as a folder")
    return manifest


def _entry(entry: object, name: str) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise Integrity(f"{name} holds something other than files")
    path, md5 = entry.get("relpath"), entry.get("md5")
    if not isinstance(path, str) or not isinstance(md5, str) or not _MD5.fullmatch(md5):
        raise Integrity(f"{name} holds an entry without a path or an MD5")
    parse_entry(path)
    return path, md5
