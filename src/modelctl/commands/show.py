"""`show`: one release, in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelctl.commands.list import ReleaseRow, describe_release
from modelctl.domain.pointers import Out
from modelctl.domain.releases import Tag
from modelctl.domain.snapshots import Snapshot
from modelctl.errors import ModelctlError
from modelctl.stores.values import read_params
from modelctl.switching.clone import Clone
from modelctl.switching.live import get_release, models_of_release


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerRow:
    """One out of the release. `size` is in bytes."""

    model: str
    path: str
    pointer: str
    md5: str | None
    directory: bool
    size: int | None
    files: int | None
    remote: str | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """The stage that made a model: its command, and what it read."""

    name: str
    command: str
    params: dict[str, str]
    dependencies: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowResult:
    """Everything about one release."""

    release: ReleaseRow
    message: str
    tag_message: str
    pointers: tuple[PointerRow, ...]
    stages: tuple[StageRow, ...]
    params: dict[str, Any]
    remotes: dict[str, str]
    problems: tuple[str, ...]


def show(clone: Clone, *, words: tuple[str, ...]) -> ShowResult:
    """Return one release; raises `NotFound` or `Usage` when `words` name none or several."""
    release = get_release(clone, words)
    snapshot = clone.catalog.snapshot(release.tag.commit)
    try:
        models = models_of_release(clone, release)
    except ModelctlError:
        models = ()
    outs = [(model.label, out) for model in models for out in model.outs]
    stages = {stage.name: stage for _, out in outs if (stage := snapshot.find_stage(out)) is not None}
    return ShowResult(
        release=describe_release(clone, release),
        message=_message(clone.catalog.objects.read(release.tag.commit)),
        tag_message=message_of(clone, release.tag) if release.tag.annotated else "",
        pointers=tuple(_pointer(clone, label, out) for label, out in outs),
        stages=tuple(
            StageRow(
                name=stage.name,
                command=stage.command,
                params=dict(stage.params),
                dependencies=tuple(
                    {"path": d.path, "md5": d.digest.oid if d.digest else None, "size": d.size} for d in stage.deps
                ),
            )
            for stage in stages.values()
        ),
        params=read_params(clone.catalog, snapshot, clone.caches).found,
        remotes=_remotes(clone, snapshot),
        problems=tuple(f"{problem.path}: {problem.reason}" for problem in snapshot.problems),
    )


def message_of(clone: Clone, tag: Tag) -> str:
    """The message of an annotated tag."""
    return _message(clone.catalog.objects.read(tag.object))


def _pointer(clone: Clone, label: str, out: Out) -> PointerRow:
    return PointerRow(
        model=label,
        path=out.path,
        pointer=out.pointer,
        md5=out.digest.oid if out.digest else None,
        directory=bool(out.digest and out.digest.is_dir),
        size=out.size,
        files=out.files,
        remote=out.remote or clone.config(out.root).default_remote,
        why=out.unrestorable,
    )


def _remotes(clone: Clone, snapshot: Snapshot) -> dict[str, str]:
    found: dict[str, str] = {}
    for root in snapshot.roots:
        config = clone.config(root)
        found |= {name: config.remote_url(name) or "" for name in config.remotes}
    return found


def _message(found: tuple[str, bytes] | None) -> str:
    """The text of a commit or tag object, without its headers and signature."""
    if found is None:
        return ""
    text = found[1].decode("utf-8", "replace").partition("\n\n")[2]
    return text.partition("-----BEGIN ")[0].strip()
