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
CREATE TABLE IF NOT EXISTS hashes (
    folder TEXT, name TEXT, inode INTEGER, size INTEGER, mtime INTEGER, ctime INTEGER, links INTEGER,
    md5 TEXT, text_md5 TEXT, PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hashes_inode ON hashes (inode)
"""
_READ = "SELECT name, inode, size, mtime, ctime, links, md5, text_md5 FROM hashes WHERE folder = ?"
_WRITE = "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM hashes WHERE folder = ? AND name = ?"
_SAME_FILE = (
    "SELECT inode, size, mtime, ctime, links, md5, text_md5 FROM hashes WHERE inode = ? AND size = ? AND mtime = ?"
)
_Stat = tuple[int, int, int, int, int]
_Hashes = tuple[str | None, str | None]
_Row = tuple[int, int, int, int, int, str | None, str | None]


class KnownHashes:
    """The hashes that this clone has taken, kept in one SQLite file. Losing it only costs time.

    A folder's rows are read in one go and written when all is done: a question to the database for
    each file would take longer than the rest of a switch.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._folders: dict[str, dict[str, tuple[_Stat, _Hashes]]] = {}
        self._unwritten: set[tuple[str, str]] = set()

    def has(self, path: Path, digest: Digest) -> bool:
        """Whether the file at `path` holds the bytes that `digest` names; hashes it if that is not known."""
        try:
            before = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if self._hash(path, before, legacy=False) == digest.md5:
            return True
        return digest.legacy and self._hash(path, before, legacy=True) == digest.md5

    def md5(self, path: Path) -> str:
        """The MD5 of the file at `path`."""
        return self._hash(path, os.stat(path), legacy=False)

    def is_known(self, path: Path, digest: Digest) -> bool:
        """Whether `has` would answer yes without reading the file."""
        try:
            return digest.md5 in self._kept(path, os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def was_noted(self, found: os.stat_result, digest: Digest) -> bool:
        """Whether a file of that inode, size and modification time was noted under any name to hold `digest`."""
        return any(digest.md5 in row[5:] for row in self._same_file(found))

    def note(self, path: Path, digest: Digest) -> None:
        """Remember that the file at `path` holds `digest`, which the caller has just seen to be so."""
        found = os.stat(path)
        kept = self._kept(path, found)
        self._keep(path, found, (kept[0], digest.md5) if digest.legacy else (digest.md5, kept[1]))

    def forget(self, paths: Iterable[Path]) -> None:
        """Drop what is known of `paths`."""
        keys = [_key(path) for path in paths]
        for folder, name in keys:
            self._folder(folder).pop(name, None)
            self._unwritten.discard((folder, name))
        with contextlib.suppress(sqlite3.Error):
            self._connect().executemany(_FORGET, keys)

    def close(self) -> None:
        """Write everything out."""
        with contextlib.suppress(sqlite3.Error):
            self._write()
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.commit()
            self._database.close()
            self._database = None
        self._folders.clear()

    def _hash(self, path: Path, before: os.stat_result, *, legacy: bool) -> str:
        kept = self._kept(path, before)
        if known := kept[1 if legacy else 0]:
            return known
        if linked := self._kept_of_link(before)[1 if legacy else 0]:
            self._keep(path, before, (kept[0], linked) if legacy else (linked, kept[1]))
            return linked
        value = hash_file(path, text=legacy)
        if _same(before, os.stat(path)):
            self._keep(path, before, (kept[0], value) if legacy else (value, kept[1]))
        return value

    def _kept(self, path: Path, now: os.stat_result) -> _Hashes:
        """What is known of the file at `path`, if it has not changed since; else nothing.

        A change time that a link explains is kept: the next one is explained by the next link only.
        """
        folder, name = _key(path)
        row = self._folder(folder).get(name)
        if row is None or not _unchanged(row[0], now):
            return (None, None)
        if row[0][3] != now.st_ctime_ns:
            self._keep(path, now, row[1])
        return row[1]

    def _kept_of_link(self, now: os.stat_result) -> _Hashes:
        """What is known of the same file under another name, such as a cached object that it is a link to."""
        rows = self._same_file(now) if now.st_nlink > 1 else []
        return next((row[5:] for row in rows if _unchanged(row[:5], now)), (None, None))

    def _same_file(self, found: os.stat_result) -> list[_Row]:
        with contextlib.suppress(sqlite3.Error):
            self._write()
            values = (found.st_ino, found.st_size, found.st_mtime_ns)
            rows: list[_Row] = self._connect().execute(_SAME_FILE, values).fetchall()
            return rows
        return []

    def _keep(self, path: Path, found: os.stat_result, hashes: _Hashes) -> None:
        folder, name = _key(path)
        row = ((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink), hashes)
        if self._folder(folder).get(name) != row:
            self._folder(folder)[name] = row
            self._unwritten.add((folder, name))

    def _folder(self, folder: str) -> dict[str, tuple[_Stat, _Hashes]]:
        if folder not in self._folders:
            rows = []
            with contextlib.suppress(sqlite3.Error):
                rows = self._connect().execute(_READ, (folder,)).fetchall()
            self._folders[folder] = {row[0]: (row[1:6], row[6:]) for row in rows}
        return self._folders[folder]

    def _write(self) -> None:
        if self._unwritten:
            kept = {key: self._folders[key[0]][key[1]] for key in self._unwritten}
            self._unwritten.clear()
            self._connect().executemany(_WRITE, [(*key, *state, *md5s) for key, (state, md5s) in kept.items()])

    def _connect(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = self._open_or_forget()
        return self._database

    def _open_or_forget(self) -> sqlite3.Connection:
        """The database; a broken one is made anew, and where none can be kept it lives in memory."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _open(str(self._path))
            except sqlite3.OperationalError:
                return _open(":memory:")
            except sqlite3.DatabaseError:
                self._path.unlink(missing_ok=True)
                return _open(str(self._path))
        except OSError:
            return _open(":memory:")


def _open(place: str) -> sqlite3.Connection:
    database = sqlite3.connect(place, timeout=5)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=OFF")
    database.executescript(_SCHEMA)
    return database


def _key(path: Path) -> tuple[str, str]:
    """Folder and name, as text that any database takes."""
    folder, _, name = str(path).encode("utf-8", "backslashreplace").decode().rpartition("/")
    return folder, name


def _unchanged(row: _Stat, now: os.stat_result) -> bool:
    same = row[:3] == (now.st_ino, now.st_size, now.st_mtime_ns)
    return same and (row[3] == now.st_ctime_ns or row[4] != now.st_nlink)


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    fields = ("st_ino", "st_size", "st_mtime_ns")
    return all(getattr(before, name) == getattr(after, name) for name in fields)
