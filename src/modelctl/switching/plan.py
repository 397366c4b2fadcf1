"""Planning a switch: from words to the commit, pointers and outs that it is about. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from modelctl.domain.paths import printable, quoted
from modelctl.domain.pointers import Digest, Out
from modelctl.domain.releases import Release
from modelctl.domain.snapshots import Model, Snapshot, check_layout, find_models
from modelctl.errors import Integrity, NotFound, Refused
from modelctl.stores.git import TreeChange
from modelctl.switching.choice import choose_release
from modelctl.switching.clone import Clone
from modelctl.switching.history import Entry, Position, last_undoable
from modelctl.switching.live import check_tracks, find_release, models_of_release
from modelctl.switching.pointers import restore_pointers

Mode = Literal["checkout", "models-only"]
Verb = Literal["rollback", "deploy", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. `release` None means: the one before (rollback)."""

    verb: Verb
    words: tuple[str, ...] = ()
    reason: str = ""
    everything: bool = False
    models_only: bool = False
    commit: bool = False
    accept_moved_tag: bool = False


@dataclass(frozen=True, slots=True)
class OutStep:
    """One out of the switch: what is there by the pointers (`old`) and what must be (`new`)."""

    path: str
    old: Out | None
    new: Out | None

    @property
    def root(self) -> str:
        """The DVC root that the out belongs to."""
        out = self.new or self.old
        return out.root if out else ""

    @property
    def digest(self) -> Digest | None:
        """What must be there."""
        return self.new.digest if self.new else None


@dataclass(frozen=True, slots=True)
class TextStep:
    """One tracked file that a models-only switch rewrites; `new` None removes it."""

    path: str
    new: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a switch will do."""

    request: Request
    mode: Mode
    source: Position
    target: Position
    release: Release | None
    home: str | None
    models: tuple[str, ...]
    outs: tuple[OutStep, ...]
    texts: tuple[TextStep, ...] = ()
    tracked: tuple[TreeChange, ...] = ()
    left: tuple[str, ...] = ()
    undoes: Entry | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def label(self) -> str:
        """What is made live, in a word."""
        return self.release.label if self.release else (self.target.tag or self.target.commit[:12])


def make_plan(clone: Clone, request: Request) -> Plan:
    """Return what `request` means here; raises `NotFound`, `Usage`, `Refused` or `Integrity`."""
    workspace = clone.workspace()
    if request.verb == "undo":
        return _plan_undo(clone, request, workspace)
    release = choose_release(clone, workspace, request.words, verb=request.verb)
    if request.models_only:
        return _plan_models_only(clone, request, workspace, release.tag.commit, release)
    return _plan_checkout(clone, request, workspace, Position(release.tag.commit, None, release.tag.name), release)


def _plan_checkout(
    clone: Clone,
    request: Request,
    workspace: Snapshot,
    target: Position,
    release: Release | None,
    undoes: Entry | None = None,
) -> Plan:
    head = clone.head.commit or ""
    after = clone.catalog.snapshot(target.commit)
    everything = request.everything
    models = _target_models(clone, release, after, undoes, everything=everything)
    old_outs, new_outs = _scope(clone, workspace, after, models, everything=everything)
    _check_restorable(after, new_outs, models, release, undoes, everything=everything)
    steps = _pair(old_outs, new_outs)
    inside = {step.path for step in steps}
    others = _other_models(clone, workspace, after, models, inside)
    if others and not everything and undoes is None:
        names = ", ".join(others)
        label = release.label if release else target.commit[:12]
        words = " ".join(request.words) or label
        raise Refused(
            f"going to {label} would take {names} back too (--all allows it, --models-only leaves them)",
            hint=f"modelctl {request.verb} {words} --models-only",
        )
    submodules, tracked = _split_submodules(clone.git.tree_changes(head, target.commit))
    live = _live_tag(clone, workspace, models)
    return Plan(
        request=request,
        mode="checkout",
        source=Position(head, clone.head.branch, live),
        target=target,
        release=release,
        home=clone.head.branch or clone.home or head,
        models=tuple(model.label for model in models),
        outs=steps,
        tracked=tracked,
        left=_left(workspace, after, inside),
        undoes=undoes,
        notes=(
            *_note_unreachable(clone),
            *(f"submodule {path} is not switched: git submodule update {quoted(path)}" for path in submodules),
        ),
    )


def _plan_models_only(
    clone: Clone,
    request: Request,
    workspace: Snapshot,
    commit: str,
    release: Release | None,
    undoes: Entry | None = None,
) -> Plan:
    head = clone.head.commit or ""
    after = clone.catalog.snapshot(commit)
    models = _target_models(clone, release, after, undoes, everything=request.everything)
    old_outs, new_outs = _scope(clone, workspace, after, models, everything=False)
    _check_restorable(after, new_outs, models, release, undoes, everything=False)
    texts, notes = restore_pointers(clone, after, old_outs, new_outs)
    live = _live_tag(clone, workspace, models)
    return Plan(
        request=request,
        mode="models-only",
        source=Position(_pointers_of(clone, models, workspace, live), clone.head.branch, live),
        target=Position(
            head, clone.head.branch, release.tag.name if release else (undoes.source.tag if undoes else None)
        ),
        release=release,
        home=clone.home,
        models=tuple(model.label for model in models),
        outs=_pair(old_outs, new_outs),
        texts=tuple(TextStep(path, text) for path, text in sorted(texts.items())),
        undoes=undoes,
        notes=notes,
    )


def _plan_undo(clone: Clone, request: Request, workspace: Snapshot) -> Plan:
    entry = last_undoable(clone.history)
    if entry is None:
        raise NotFound("there is no switch to undo", hint="modelctl history")
    reason = request.reason or f"undo of {entry.verb} to {entry.target.tag or entry.target.commit[:12]}"
    asked = replace(request, everything=entry.everything, reason=reason)
    release = next((r for r in clone.releases if r.tag.name == entry.source.tag), None)
    if entry.mode == "models-only":
        asked = replace(asked, models_only=True, commit=request.commit or entry.committed is not None)
        plan = _plan_models_only(clone, asked, workspace, entry.source.commit, None, entry)
        return replace(plan, release=release)
    at = clone.head
    if at.commit != entry.target.commit or at.branch != entry.target.branch:
        raise Refused(
            "HEAD has moved since that switch, so there is nothing to take back",
            hint=f"modelctl deploy {entry.source.tag}" if entry.source.tag else "modelctl history",
        )
    branch = entry.source.branch
    if branch and clone.git.find_commit(branch) != entry.source.commit:
        short = branch.removeprefix("refs/heads/")
        raise Refused(
            f"{short} has moved since that switch",
            hint=f"git switch {short} && dvc checkout   # goes to where {short} is now",
        )
    plan = _plan_checkout(clone, asked, workspace, entry.source, None, entry)
    return replace(plan, release=release, home=None if branch else (clone.home or entry.home))


def _target_models(
    clone: Clone, release: Release | None, after: Snapshot, undoes: Entry | None, *, everything: bool
) -> tuple[Model, ...]:
    if undoes is not None:
        found = find_models(after, clone.settings)
        return tuple(m for m in found if m.label in undoes.models) or found
    if everything and release is not None:
        try:
            return models_of_release(clone, release)
        except NotFound:
            return ()
    if release is None:
        return ()
    models = models_of_release(clone, release)
    if not models:
        raise NotFound(
            f"{release.tag.name} has no model: nothing that DVC tracks is a model there",
            hint=f"modelctl rollback {release.tag.name} --all   # takes every DVC out of that commit",
        )
    return models


def _scope(
    clone: Clone, before: Snapshot, after: Snapshot, models: tuple[Model, ...], *, everything: bool
) -> tuple[list[Out], list[Out]]:
    """The outs of both sides that the switch is about."""
    if everything:
        return _usable(before.outs), _usable(after.outs)
    names = {(model.directory, model.name) for model in models}
    current = find_models(before, clone.settings)
    mine = [model for model in current if (model.directory, model.name) in names]
    if not mine and len(current) <= 1:
        mine = list(current)
    new = {out.path: out for model in models for out in model.outs}
    old = {out.path: out for model in mine for out in model.outs}
    old |= {out.path: out for out in before.outs if out.path in new}
    return _usable(old.values()), _usable(new.values())


def _usable(outs: Iterable[Out]) -> list[Out]:
    return [out for out in outs if out.unrestorable is None]


def _check_restorable(
    after: Snapshot,
    new: list[Out],
    models: tuple[Model, ...],
    release: Release | None,
    undoes: Entry | None,
    *,
    everything: bool,
) -> None:
    """Refuse a release whose pointers cannot be read or say nothing that could be brought back."""
    label = release.tag.name if release else after.commit[:12]
    if everything and release is not None:
        check_tracks(after, label)
        if after.problems:
            problem = after.problems[0]
            raise Integrity(
                f"{label} is not readable as a whole: {problem.path}: {problem.reason}",
                hint=f"modelctl rollback {label}   # its models alone",
            )
    hint = _way_on(undoes) if undoes is not None else "modelctl list"
    for model in models:
        if model.problem:
            raise Integrity(f"{label} is not readable: {model.problem}", hint=hint)
        lost = [out for out in model.outs if out.is_lost]
        if lost and not everything:
            raise NotFound(f"{label} cannot be restored: {lost[0].path} is {lost[0].unrestorable}", hint=hint)
    check_layout(new)


def _way_on(undoes: Entry) -> str:
    """What to type when the place that an undo would go back to has no readable model."""
    branch = (undoes.source.branch or "").removeprefix("refs/heads/")
    return (
        f"git switch {branch or f'--detach {undoes.source.commit[:12]}'}   # takes the code; its model cannot be read"
    )


def _pair(old: Iterable[Out], new: Iterable[Out]) -> tuple[OutStep, ...]:
    before = {out.path: out for out in old}
    after = {out.path: out for out in new}
    return tuple(OutStep(path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys()))


def _other_models(
    clone: Clone, before: Snapshot, after: Snapshot, meant: tuple[Model, ...], inside: set[str]
) -> tuple[str, ...]:
    """The models beside those that are meant whose pointers a full checkout would change."""
    own = {model.label for model in meant}
    old = {m.label: _outside(m, inside) for m in find_models(before, clone.settings)}
    new = {m.label: _outside(m, inside) for m in find_models(after, clone.settings)}
    return tuple(
        sorted(
            printable(name) for name in (old.keys() | new.keys()) - own if old.get(name, set()) != new.get(name, set())
        )
    )


def _outside(model: Model, inside: set[str]) -> set[tuple[str, Digest | None]]:
    return {out.content for out in model.outs if out.path not in inside}


def _left(before: Snapshot, after: Snapshot, inside: set[str]) -> tuple[str, ...]:
    """The outs whose pointers change, come or go, but which the switch does not bring along."""
    old, new = ({out.content for out in _usable(side.outs)} for side in (before, after))
    return tuple(sorted({path for path, _ in old ^ new if path not in inside}))


def _live_tag(clone: Clone, workspace: Snapshot, models: tuple[Model, ...]) -> str | None:
    """The tag of the release that is live before the switch."""
    names = {(model.directory, model.name) for model in models}
    current = find_models(workspace, clone.settings)
    mine = [m for m in current if (m.directory, m.name) in names] or list(current)
    release = find_release(clone, mine[0])[0] if mine else None
    return release.tag.name if release else None


def _pointers_of(clone: Clone, models: tuple[Model, ...], workspace: Snapshot, live: str | None) -> str:
    """The commit whose pointers the workspace has: HEAD, or that of the release that is live uncommitted."""
    head = clone.head.commit or ""
    paths = {out.path for model in models for out in model.outs}
    if _contents(workspace, paths) == _contents(clone.catalog.snapshot(head), paths):
        return head
    return next((tag.commit for tag in clone.tags if tag.name == live), head)


def _contents(snapshot: Snapshot, paths: set[str]) -> set[tuple[str, Digest | None]]:
    return {out.content for out in snapshot.outs if out.path in paths}


def _note_unreachable(clone: Clone) -> tuple[str, ...]:
    """A word on commits that a detached HEAD leaves and that nothing else leads to."""
    head = clone.head
    if head.branch is not None or head.commit is None or clone.git.is_reachable(head.commit):
        return ()
    return (f"the commit {head.commit[:12]} is on no branch: git branch NAME {head.commit[:12]} keeps it",)


def _split_submodules(changes: Iterable[TreeChange]) -> tuple[tuple[str, ...], tuple[TreeChange, ...]]:
    """The submodules among the changes, whose own folders a switch leaves as they are, and the files."""
    every = tuple(changes)
    modes = [{change.old_mode, change.new_mode} for change in every]
    moved = tuple(change.path for change, both in zip(every, modes, strict=True) if "160000" in both)
    return moved, tuple(c for c, both in zip(every, modes, strict=True) if not both <= {"160000", "000000"})
