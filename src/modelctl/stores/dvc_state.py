"""DVC's memory of the workspace, kept in step with what a switch put there; written without DVC.

DVC remembers the hash of every file that it has seen (`hashes/local/cache.db`) and every out that it
has linked (`links/cache.db`), in SQLite databases of the `diskcache` package below `site_cache_dir`.
With the first, `dvc status` need not read the bytes again; with the second, `dvc checkout` removes an
out that another commit does not have (`dvc_data.hashfile.state`, `dvc.repo.Repo.site_cache_dir`,
https://grantjenks.com/docs/diskcache). All of it is a courtesy: where something is not as expected,
nothing is written, and nothing here relies on what was.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelctl import faults
from modelctl.domain.pointers import Digest
from modelctl.errors import ModelctlError
from modelctl.stores.dvc_config import load_config

_DVC_MAJOR = 3
_SALT = 0
_RAW = 1
_PICKLED = 4
_COLUMNS = {"key", "raw", "store_time", "expire_time", "access_time", "tag", "mode", "filename", "value"}
_STORE = (
    "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, tag, mode, filename, value)"
    " VALUES (?, 1, 0, NULL, 0, NULL, ?, NULL, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET mode = excluded.mode, filename = NULL, value = excluded.value"
)
_Row = tuple[str, int, str | bytes]


@dataclass(frozen=True, slots=True)
class Placed:
    """An out that was put at `path`, and its files by their path below it (an empty one for a file)."""

    path: Path
    files: Mapping[str, Digest]


def remember(root: Path, outs: Iterable[Placed]) -> None:
    """Let DVC know what lies at the outs of the DVC root `root`; never fails, and changes no file of it."""
    base = Path(os.path.realpath(root))
    with contextlib.suppress(OSError, sqlite3.Error, ModelctlError, KeyError, UnicodeError):
        folder = state_folder(base)
        if folder is None:
            return
        links: list[_Row] = []
        hashes: list[_Row] = []
        for out in outs:
            relative = os.path.relpath(out.path, root)
            here = str(base / relative)
            names = {(f"{here}/{name}" if name else here): digest for name, digest in out.files.items()}
            found = {name: os.stat(name) for name in names}
            links.append((relative, _PICKLED, format_link(os.lstat(here).st_ino, mark_of(here, found))))
            hashes += [(name, _RAW, format_entry(found[name], digest)) for name, digest in names.items()]
        with faults.point("dvc-state.write"):
            _store(folder / "links" / "cache.db", links)
            _store(folder / "hashes" / "local" / "cache.db", hashes)


def state_folder(root: Path) -> Path | None:
    """Where DVC keeps its memory of the DVC root `root`, None where it has none yet."""
    try:
        born = os.path.getmtime(root / ".dvc" / "tmp" / "btime")
    except OSError:
        return None
    name = str((str(root), None, born, getpass.getuser(), _DVC_MAJOR, _SALT))
    token = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return _site_folder(root) / "repo" / token


def format_entry(found: os.stat_result, digest: Digest) -> str:
    """What DVC keeps of a file: its hash, and a checksum of inode, time and size to know it again by."""
    kind = "md5-dos2unix" if digest.legacy else "md5"
    mark = f"([{found.st_ino}, {found.st_mtime!r}, {found.st_size}],)"
    checksum = int(hashlib.md5(mark.encode(), usedforsecurity=False).hexdigest(), 16)
    hash_info = f'{{"{kind}": "{digest.md5}"}}'
    return f'{{"version": 1, "checksum": "{checksum}", "size": {found.st_size}, "hash_info": {hash_info}}}'


def format_link(inode: int, time: str) -> bytes:
    """What DVC keeps of a linked out: the pair, as `pickle` writes it in protocol 4.

    Written by hand because a house that unpickles nothing needs no pickles; the opcodes are those of
    https://docs.python.org/3/library/pickletools.html.
    """
    number = inode.to_bytes(inode.bit_length() // 8 + 1, "little", signed=True)
    if inode < 1 << 8:
        number = b"K" + bytes([inode])
    elif inode < 1 << 16:
        number = b"M" + inode.to_bytes(2, "little")
    elif inode < 1 << 31:
        number = b"J" + inode.to_bytes(4, "little")
    else:
        number = b"\x8a" + bytes([len(number)]) + number
    text = time.encode()
    body = number + b"\x8c" + bytes([len(text)]) + text + b"\x94" + b"\x86" + b"\x94" + b"."
    return b"\x80\x04\x95" + len(body).to_bytes(8, "little") + body


def mark_of(path: str, found: Mapping[str, os.stat_result]) -> str:
    """By what DVC knows a linked out again: a file's time in nanoseconds, a directory's hash of all times.

    `found` has the files by their whole path, links followed.
    """
    if path in found:
        return str(round(found[path].st_mtime * 1_000_000_000))
    times = {name: stat.st_mtime for name, stat in found.items()}
    return hashlib.md5(json.dumps(times, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def _site_folder(root: Path) -> Path:
    if named := os.environ.get("DVC_SITE_CACHE_DIR"):
        return Path(named)
    if configured := load_config(root).sections.get("core", {}).get("site_cache_dir"):
        return Path(configured)
    if sys.platform != "linux":
        import platformdirs

        return Path(platformdirs.site_cache_dir("dvc", "iterative", opinion=True))
    return Path("/var/tmp/dvc")  # noqa: S108  # the folder is DVC's choice


def _store(path: Path, rows: list[_Row]) -> None:
    """Write rows that are not there yet into a database that DVC has made, in one transaction."""
    if not path.is_file() or not rows:
        return
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=2)) as database:
        if _COLUMNS - {column[1] for column in database.execute("PRAGMA table_info(Cache)")}:
            return
        database.execute("PRAGMA synchronous=NORMAL")
        new = _new_rows(database, rows)
        if new:
            with database:
                database.executemany(_STORE, new)


def _new_rows(database: sqlite3.Connection, rows: list[_Row]) -> list[_Row]:
    """Those rows that the database has not, or has otherwise."""
    query = "SELECT key, mode, value FROM Cache WHERE raw = 1 AND key BETWEEN ? AND ?"
    names = sorted(row[0] for row in rows)
    there = set(database.execute(query, (names[0], names[-1])))
    return [row for row in rows if row not in there]
