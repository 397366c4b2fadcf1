"""SHA-256 of an out, from the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelctl.domain.bindings import directory_sha256_text
from modelctl.domain.pointers import Digest
from modelctl.stores.objects import Cache


def sha256_of(cache: Cache, digest: Digest) -> str:
    """The SHA-256 of a file, or of a directory as `domain.bindings` defines it. Every object must be here."""
    if not digest.is_dir:
        return _sha256(cache.path(digest))
    files = cache.get_manifest(digest).files
    text = directory_sha256_text((path, _sha256(cache.path(file))) for path, file in files.items())
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def size_of(cache: Cache, digest: Digest) -> int:
    """The bytes of a file, or of all files of a directory, as the cache has them."""
    if not digest.is_dir:
        return cache.path(digest).stat().st_size
    return sum(cache.path(file).stat().st_size for file in cache.get_manifest(digest).files.values())


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
