"""Everything that DVC declares at one commit, and which of it is a model."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace

from modelctl.domain.pointers import LockedStage, Out
from modelctl.domain.settings import Settings
from modelctl.domain.tags import DEFAULT_MODEL, ReleaseName
from modelctl.errors import Integrity, NotFound

_ONE_TOO_MANY = "remove one of the two pointers and commit that"


@dataclass(frozen=True, slots=True)
class Problem:
    """A pointer that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """An `artifacts:` entry of a `dvc.yaml`."""

    name: str
    directory: str
    path: str
    type: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The pointers of one commit (or of the workspace): outs, stages, metrics and params files."""

    commit: str
    roots: tuple[str, ...] = ()
    outs: tuple[Out, ...] = ()
    stages: tuple[LockedStage, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    metrics: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def find_stage(self, out: Out) -> LockedStage | None:
        """The locked stage that made `out`, if a stage did."""
        return next((s for s in self.stages if s.name == out.stage and s.lock == out.pointer), None)


@dataclass(frozen=True, slots=True)
class Model:
    """What users name: a model, its outs at one commit, and what keeps them from being read."""

    name: str
    directory: str
    outs: tuple[Out, ...]
    declared: bool
    problem: str | None = None

    @property
    def label(self) -> str:
        """The name to show, with its folder in a repository of several projects."""
        return f"{self.directory}/{self.name}" if self.directory else self.name


def find_models(snapshot: Snapshot, settings: Settings) -> tuple[Model, ...]:
    """Return the models of a commit, by name.

    They come from `artifacts:` in `dvc.yaml`; else from the settings; else every out below a DVC
    root's `models/` is that root's one model, `model`.
    """
    found = _artifact_models(snapshot) or _configured_models(snapshot, settings) or _default_models(snapshot)
    return tuple(_with_layout(model) for model in found)


def select_models(models: Iterable[Model], name: ReleaseName, tag: str) -> tuple[Model, ...]:
    """Return those of `models` that the release called `name` is about.

    A release of `model`, or one whose tag names no model, is about all of them where no model has
    that very name; so is any release where models are not declared. Raises `NotFound` when the tag
    names a model that the commit does not declare.
    """
    found = tuple(models)
    if not found:
        raise NotFound(
            f"{tag} has no model: no artifacts in dvc.yaml, none in modelctl.toml, nothing tracked under models/",
            hint=f"modelctl rollback {tag} --all   # takes every DVC out of that commit",
        )
    if name.model is None:
        return found
    same = tuple(model for model in found if name.model in {model.name, model.label})
    if name.directory is not None:
        same = tuple(model for model in same if model.directory == name.directory)
    if same:
        return same
    if name.model == DEFAULT_MODEL or not any(model.declared for model in found):
        return found
    declared = ", ".join(model.label for model in found)
    raise NotFound(
        f"{tag} names the model {name.model}, which its commit does not declare (it declares {declared})",
        hint=f"modelctl rollback {tag} --all   # takes every DVC out of that commit",
    )


def _with_layout(model: Model) -> Model:
    """The model, with its problem when its pointers contradict each other."""
    try:
        check_layout(model.outs)
    except Integrity as exc:
        return replace(model, problem=model.problem or exc.message)
    return model


def check_layout(outs: Iterable[Out]) -> None:
    """Raise `Integrity` when two of `outs` claim one path or one lies inside another."""
    paths = sorted((out.path for out in outs), key=lambda path: path.split("/"))
    for first, second in itertools.pairwise(paths):
        if first == second:
            raise Integrity(f"two pointers name the same path: {first}", hint=_ONE_TOO_MANY)
        if second.startswith(first + "/"):
            raise Integrity(f"the out {second} lies inside the out {first}", hint=_ONE_TOO_MANY)


def _artifact_models(snapshot: Snapshot) -> tuple[Model, ...]:
    models = [a for a in snapshot.artifacts if a.type in {"", "model"}]
    return tuple(
        Model(
            a.name,
            a.directory,
            _outs_at(snapshot, (a.path,)),
            declared=True,
            problem=_problem_at(snapshot, a.path),
        )
        for a in sorted(models, key=lambda a: (a.directory, a.name))
    )


def _configured_models(snapshot: Snapshot, settings: Settings) -> tuple[Model, ...]:
    found = []
    for name, paths in sorted(settings.models.items()):
        outs = _outs_at(snapshot, paths)
        problems = [reason for path in paths if (reason := _problem_at(snapshot, path))]
        if outs or problems:
            found.append(Model(name, "", outs, declared=True, problem=problems[0] if problems else None))
    return tuple(found)


def _default_models(snapshot: Snapshot) -> tuple[Model, ...]:
    found = []
    for root in snapshot.roots:
        folder = posixpath.join(root, "models")
        outs = tuple(out for out in snapshot.outs if out.root == root and _within(out.path, folder))
        problem = _problem_below(snapshot, root, folder)
        if outs or problem:
            found.append(Model(DEFAULT_MODEL, root, outs, declared=False, problem=problem))
    return tuple(found)


def _outs_at(snapshot: Snapshot, paths: tuple[str, ...]) -> tuple[Out, ...]:
    """The outs at `paths`, below them, or holding them."""
    return tuple(
        out for out in snapshot.outs if any(_within(out.path, path) or _within(path, out.path) for path in paths)
    )


def _problem_at(snapshot: Snapshot, path: str) -> str | None:
    """Why the pointer that should name `path` could not be read."""
    if _outs_at(snapshot, (path,)):
        return None
    for problem in snapshot.problems:
        if problem.path in {f"{path}.dvc", posixpath.join(posixpath.dirname(path), "dvc.lock")}:
            return problem.reason
        if problem.path.endswith(("dvc.lock", "dvc.yaml")) and _within(path, posixpath.dirname(problem.path)):
            return problem.reason
    return None


def _problem_below(snapshot: Snapshot, root: str, folder: str) -> str | None:
    """Why a pointer below `folder`, or a lock that may name something there, could not be read."""
    for problem in snapshot.problems:
        inside = _within(problem.path, folder)
        lock = problem.path.endswith(("dvc.lock", "dvc.yaml")) and _within(problem.path, root)
        if inside or lock:
            return problem.reason
    return None


def _within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")
