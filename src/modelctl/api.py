"""The Python API: one class, the verbs of the command line as methods."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypedDict, Unpack

from modelctl.commands.diff import DiffResult, diff
from modelctl.commands.fetch import FetchResult, fetch
from modelctl.commands.history import history
from modelctl.commands.init import InitResult, init
from modelctl.commands.list import ReleaseRow, list_releases
from modelctl.commands.path import path
from modelctl.commands.recover import RecoverResult, recover
from modelctl.commands.release import ReleaseResult, release
from modelctl.commands.show import ShowResult, show
from modelctl.commands.status import StatusResult, status
from modelctl.commands.switch import SwitchResult, run_switch
from modelctl.commands.verify import VerifyResult, verify
from modelctl.switching.clone import Clone
from modelctl.switching.history import Entry
from modelctl.switching.opening import open_clone
from modelctl.switching.plan import Request, Verb


class SwitchOptions(TypedDict, total=False):
    """What a switch may be told.

    Why (`reason`); to take every out of the commit (`everything`) or the pointers alone (`models_only`, then
    `commit`); to take a tag that was moved; to plan only; how many seconds to wait for another process.
    """

    reason: str
    everything: bool
    models_only: bool
    commit: bool
    accept_moved_tag: bool
    dry_run: bool
    wait: float


class Repository:
    """A Git + DVC repository with models.

    Each method does what the command of its name does, opens the repository anew and first resolves an
    interrupted switch. All raise `ModelctlError` children, and nothing has changed after any of them.
    Releases are named as on the command line: `"v4"`, `"churn v4"`, `"churn-v4"`, or a tag in full.
    """

    def __init__(self, location: str | os.PathLike[str] = ".") -> None:
        self.location = Path(location)
        with open_clone(self.location):
            pass

    @classmethod
    def init(cls, location: str | os.PathLike[str] = ".") -> tuple[Repository, InitResult]:
        """Make a folder ready for releases; idempotent, overwrites nothing."""
        made = init(Path(location))
        return cls(made.top), made

    def releases(self, model: str | None = None, *, remote: bool = False) -> tuple[ReleaseRow, ...]:
        """The releases, newest version first; `remote` also asks the DVC remote for their objects."""
        with self._open() as clone:
            return list_releases(clone, model=model, remote=remote).releases

    def show(self, release: str) -> ShowResult:
        """One release, in full."""
        with self._open() as clone:
            return show(clone, words=_words(release))

    def status(self) -> StatusResult:
        """What is live here."""
        with self._open() as clone:
            return status(clone)

    def diff(self, old: str, new: str | None = None) -> DiffResult:
        """What changes from one release to another, or to the workspace."""
        with self._open() as clone:
            return diff(clone, old=_words(old), new=_words(new) if new else None)

    def rollback(self, release: str | None = None, **options: Unpack[SwitchOptions]) -> SwitchResult:
        """Make an earlier release live; without a name, the one before that is another model."""
        return self._switch("rollback", release, options)

    def deploy(self, release: str, **options: Unpack[SwitchOptions]) -> SwitchResult:
        """Make a release live."""
        return self._switch("deploy", release, options)

    def undo(self, **options: Unpack[SwitchOptions]) -> SwitchResult:
        """Take the last switch back, the branch included."""
        return self._switch("undo", None, options)

    def history(self) -> tuple[Entry, ...]:
        """Every switch here, newest first."""
        with self._open() as clone:
            return history(clone).entries

    def release(self, version: str, *, model: str | None = None, message: str = "") -> ReleaseResult:
        """Release the committed state: objects pushed and proved, tag bound to the bytes, both pushed at once."""
        with self._open() as clone:
            return release(clone, version=version, model=model, message=message)

    def fetch(self, *releases: str, last: int | None = None) -> FetchResult:
        """Bring releases into the cache, so that a later rollback needs no network."""
        with self._open() as clone:
            return fetch(clone, releases=releases, last=last)

    def verify(self, release: str | None = None, *, remote: bool = False) -> VerifyResult:
        """Hash a release's content (every release's, without a name) against its pointers."""
        with self._open() as clone:
            return verify(clone, words=_words(release) if release else (), everything=release is None, remote=remote)

    def path(self, release: str, model: str | None = None) -> Path:
        """The path of a read-only copy of a release's model, to load without switching anything."""
        with self._open() as clone:
            return path(clone, words=_words(release), model=model).path

    def recover(self) -> RecoverResult:
        """Resolve an interrupted switch, as every other method does first by itself."""
        with Clone(self.location) as clone:
            return recover(clone)

    def _switch(self, verb: Verb, release: str | None, options: SwitchOptions) -> SwitchResult:
        request = Request(
            verb=verb,
            words=_words(release) if release else (),
            reason=options.get("reason", ""),
            everything=options.get("everything", False),
            models_only=options.get("models_only", False),
            commit=options.get("commit", False),
            accept_moved_tag=options.get("accept_moved_tag", False),
        )
        with self._open() as clone:
            return run_switch(
                clone, request=request, dry_run=options.get("dry_run", False), wait=options.get("wait", 0.0)
            )

    def _open(self) -> contextlib.AbstractContextManager[Clone]:
        return open_clone(self.location)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())
