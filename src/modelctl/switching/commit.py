"""Committing the pointers of a models-only switch, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from modelctl import faults
from modelctl.stores.git import Git


def commit_pointers(git: Git, paths: Iterable[str], message: str) -> str:
    """Commit `paths` as they are in the working tree on the current branch; returns the commit.

    What else is staged stays staged. When these paths are committed already, HEAD is returned.
    """
    wanted = [f":(literal,top){path}" for path in paths]
    if not git.run("status", "--porcelain=v1", "-z", "--", *wanted):
        return git.head().commit or ""
    git.run("add", "-A", "--", *wanted)
    with faults.point("git.commit"):
        git.run("commit", "--quiet", "--no-verify", "--only", "-F", "-", "--", *wanted, stdin=message.encode())
    return git.head().commit or ""
