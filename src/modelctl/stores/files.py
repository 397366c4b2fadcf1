"""The file system: durable writes, atomic exchange, cheap links, locks."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from modelctl import faults
from modelctl.errors import Locked

CHUNK = 1024 * 1024
_FICLONE = 0x40049409
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` by a file that holds `data`, so that a crash leaves the old or the new one.

    Temporary file, fsync, rename, fsync of the directory.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with faults.point("files.write"):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def append_durably(path: Path, line: bytes) -> None:
    """Append one line to `path` and sync it; what a torn earlier append left is ended first."""
    with faults.point("files.append"), open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in the folder `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: Path) -> None:
    """Make everything on the file system of the folder `path` durable: one call for a tree of many files."""
    sync = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if sync is None:
        os.sync()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if sync(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of the regular file `path` durable; anything else is left alone."""
    if path.is_symlink():
        return
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system and make both folders durable. `target` must not exist."""
    with faults.point("files.rename"):
        os.rename(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def exchange(first: Path, second: Path) -> None:
    """Exchange two names in one step where the system has one, else by two renames.

    The two renames pass through `second` + `.swap`, which recovery knows of.
    """
    with faults.point("files.exchange"):
        swap = _system_exchange()
        if swap is None or not swap(os.fsencode(first), os.fsencode(second)):
            middle = second.with_name(second.name + ".swap")
            os.rename(first, middle)
            with faults.point("files.exchange-half"):
                os.rename(second, first)
            os.rename(middle, second)
    sync_folder(first.parent)
    sync_folder(second.parent)


@functools.cache
def _system_exchange() -> Callable[[bytes, bytes], bool] | None:
    """The system call that exchanges two names: renameat2 on Linux, renamex_np on macOS."""
    if os.environ.get("MODELCTL_NO_EXCHANGE"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        call = getattr(library, "renamex_np", None)
        return call and (lambda a, b: _succeeded(call(a, b, _RENAME_SWAP)))
    call = getattr(library, "renameat2", None)
    return call and (lambda a, b: _succeeded(call(_AT_FDCWD, a, _AT_FDCWD, b, _RENAME_EXCHANGE)))


def _succeeded(result: int) -> bool:
    """False when the file system cannot exchange; any other failure is raised."""
    if result == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        return False
    raise OSError(code, os.strerror(code))


def link(kind: str, source: Path, target: Path) -> bool:
    """Make `target` from `source` by `kind` (reflink, hardlink, symlink, copy); False if impossible here.

    Nothing is synced here; every kind but `copy` and `reflink` shares the bytes with `source`.
    """
    with faults.point("files.link"):
        try:
            if kind == "hardlink":
                os.link(source, target)
            elif kind == "symlink":
                os.symlink(source, target)
            elif kind == "reflink":
                return _reflink(source, target)
            else:
                _copy(source, target)
        except OSError as exc:
            if kind != "copy" and exc.errno in {
                errno.EXDEV,
                errno.EPERM,
                errno.ENOTSUP,
                errno.EMLINK,
                errno.EACCES,
            }:
                return False
            raise
    return True


def _reflink(source: Path, target: Path) -> bool:
    if sys.platform == "darwin":
        return ctypes.CDLL(None).clonefile(os.fsencode(source), os.fsencode(target), 0) == 0
    with open(source, "rb") as reader, open(target, "xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            os.unlink(target)
            return False
    return True


def can_reflink(folder: Path) -> bool:
    """Whether the file system of `folder` lets two files share blocks; tried on files without a name."""
    if sys.platform == "darwin":
        return True
    try:
        first, second = (os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600) for _ in range(2))
    except OSError:
        return False
    try:
        os.write(first, b"\0" * 4096)
        fcntl.ioctl(second, _FICLONE, first)
    except OSError:
        return False
    finally:
        os.close(first)
        os.close(second)
    return True


def _copy(source: Path, target: Path) -> None:
    with open(target, "xb"):
        pass
    shutil.copyfile(source, target)


def hash_file(path: Path, *, text: bool = False) -> str:
    """Return the MD5 of the file's bytes; with `text`, as DVC before 3.0 took it.

    That hash reads a file that looks like text with its line ends normalised: a first block of 512
    bytes without NUL of which at most 30 % are neither printable ASCII nor white space.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        head = file.read(512)
        file.seek(0)
        if not (text and _looks_like_text(head)):
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        while chunk := file.read(CHUNK):
            digest.update(chunk.replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _looks_like_text(block: bytes) -> bool:
    plain = bytes(range(32, 127)) + b"\n\r\t\f\b"
    return not block or (b"\0" not in block and len(block.translate(None, plain)) / len(block) <= 0.3)


def remove_tree(path: Path) -> None:
    """Remove a file, symlink or whole directory; what is not there is no error."""
    with faults.point("files.remove"):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            path.unlink()
            return
        for folder, _, _ in os.walk(path):
            os.chmod(folder, 0o755)
        shutil.rmtree(path)


def identity(path: Path) -> int | None:
    """The inode number of what is at `path` itself (links not followed), None when nothing is."""
    try:
        return path.lstat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None


def device_of(path: Path) -> int:
    """The file system that a file at `path` would be on: that of its nearest existing folder."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev


@contextlib.contextmanager
def lock(path: Path, *, wait: float, busy: str) -> Iterator[None]:
    """Hold the lock file `path`; the kernel frees it when the process dies.

    Waits up to `wait` seconds, then raises `Locked` with the message `busy`.
    """
    from filelock import FileLock, Timeout

    holder = FileLock(path)
    try:
        holder.acquire(timeout=wait)
    except Timeout as exc:
        raise Locked(busy, hint="modelctl status   # and again, with --wait 60") from exc
    try:
        yield
    finally:
        holder.release()
