"""What is known of files' content: a hash is taken once and believed while the file is unchanged.

Unchanged means the same inode, size and modification time, and a change time that is the same too or
explained by a link made or removed since (the link count differs).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from modelctl.domain.pointers import Digest
from modelctl.stores.files import hash_file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS known (
    path TEXT PRIMARY KEY, inode INTEGER, size INTEGER, mtime INTEGER, ctime INTEGER, links INTEGER,
    md5 TEXT, text_md5 TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_inode ON known (inode)
"""
_Stat = tuple[int, int, int, int, int]
_Hashes = tuple[str | None, str | None]


class KnownHashes:
    """The hashes that this clone has taken, kept in one SQLite file. Losing it only costs time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self.hashed_bytes = 0

    def has(self, path: Path, digest: Digest) -> bool:
        """Whether the file at `path` holds the bytes that `digest` names; hashes it if that is not known."""
        try:
            before = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if digest.md5 in self._hashes(path, before, legacy=False):
            return True
        return digest.legacy and digest.md5 in self._hashes(path, before, legacy=True)

    def md5(self, path: Path) -> str:
        """The MD5 of the file at `path`."""
        return next(iter(self._hashes(path, path.stat(), legacy=False)))

    def is_known(self, path: Path, digest: Digest) -> bool:
        """Whether `has` would answer yes without reading the file."""
        try:
            return digest.md5 in self._kept(path, path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def was_noted(self, found: os.stat_result, digest: Digest) -> bool:
        """Whether a file of that inode, size and modification time was noted under any name to hold `digest`."""
        with contextlib.suppress(sqlite3.Error):
            query = "SELECT 1 FROM known WHERE inode = ? AND size = ? AND mtime = ? AND (md5 = ? OR text_md5 = ?)"
            values = (found.st_ino, found.st_size, found.st_mtime_ns, digest.md5, digest.md5)
            return self._connect().execute(query, values).fetchone() is not None
        return False

    def note(self, path: Path, digest: Digest) -> None:
        """Remember that the file at `path` holds `digest`, which the caller has just seen to be so."""
        found = path.stat()
        with contextlib.suppress(sqlite3.Error):
            kept = self._kept(path, found)
            values = (kept[0], digest.md5) if digest.legacy else (digest.md5, kept[1])
            self._store(path, found, values)

    def forget(self, paths: Iterable[Path]) -> None:
        """Drop what is known of `paths`."""
        with contextlib.suppress(sqlite3.Error):
            self._connect().executemany("DELETE FROM known WHERE path = ?", [(str(path),) for path in paths])

    def close(self) -> None:
        """Write everything out."""
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.commit()
            self._database.close()
            self._database = None

    def _hashes(self, path: Path, before: os.stat_result, *, legacy: bool) -> set[str]:
        kept = self._kept(path, before)
        if known := kept[1 if legacy else 0]:
            return {known}
        value = hash_file(path, text=legacy)
        self.hashed_bytes += before.st_size
        if _same(before, path.stat()):
            with contextlib.suppress(sqlite3.Error):
                self._store(path, before, (kept[0], value) if legacy else (value, kept[1]))
        return {value}

    def _kept(self, path: Path, now: os.stat_result) -> _Hashes:
        """What is known of the file at `path`, if it has not changed since; else nothing."""
        query = "SELECT inode, size, mtime, ctime, links, md5, text_md5 FROM known WHERE path = ?"
        with contextlib.suppress(sqlite3.Error):
            row = self._connect().execute(query, (str(path),)).fetchone()
            if row and _unchanged(row[:5], now):
                return (row[5], row[6])
        return (None, None)

    def _store(self, path: Path, found: os.stat_result, hashes: _Hashes) -> None:
        values = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink)
        self._connect().execute(
            "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (str(path), *values, *hashes)
        )

    def _connect(self) -> sqlite3.Connection:
        if self._database is None:
            try:
                self._database = self._open()
            except sqlite3.DatabaseError:
                self._path.unlink(missing_ok=True)
                self._database = self._open()
        return self._database

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=5)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.executescript(_SCHEMA)
        return database


def _unchanged(row: _Stat, now: os.stat_result) -> bool:
    same = row[:3] == (now.st_ino, now.st_size, now.st_mtime_ns)
    return same and (row[3] == now.st_ctime_ns or row[4] != now.st_nlink)


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    fields = ("st_ino", "st_size", "st_mtime_ns")
    return all(getattr(before, name) == getattr(after, name) for name in fields)
