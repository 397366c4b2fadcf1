"""Git's objects, many of them through one process."""

from __future__ import annotations

import os
import subprocess
from typing import IO


class ObjectReader:
    """One `git cat-file --batch` process: objects by name, each read once."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def read(self, name: str) -> tuple[str, bytes] | None:
        """The type and content of the object `name` (an object name, or `COMMIT:PATH`), None if absent."""
        requests, answers = _pipes(self._process)
        requests.write(name.encode() + b"\n")
        requests.flush()
        header = answers.readline().decode().split()
        if len(header) < 3 or header[-1] in {"missing", "ambiguous"}:
            return None
        data = answers.read(int(header[2]))
        answers.read(1)
        return header[1], data

    def tree(self, oid: str) -> list[tuple[str, str, str]]:
        """The entries (mode, name, object name) of the tree `oid`."""
        found = self.read(oid)
        if found is None or found[0] != "tree":
            return []
        entries, data, width, start = [], found[1], len(oid) // 2, 0
        while start < len(data):
            space = data.index(b" ", start)
            end = data.index(b"\0", space)
            name = os.fsdecode(data[space + 1 : end])
            entries.append((data[start:space].decode(), name, data[end + 1 : end + 1 + width].hex()))
            start = end + 1 + width
        return entries

    def close(self) -> None:
        """End the process."""
        requests, answers = _pipes(self._process)
        requests.close()
        answers.close()
        self._process.wait()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a reader needs both pipes")
    return process.stdin, process.stdout
