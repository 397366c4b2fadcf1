"""Choosing the release that a switch goes to: the one that was named, or the one before."""

from __future__ import annotations

from modelctl.domain.pointers import Digest
from modelctl.domain.releases import Release, sort_releases
from modelctl.domain.snapshots import Model, Snapshot, find_models
from modelctl.errors import NotFound, Usage
from modelctl.switching.clone import Clone
from modelctl.switching.history import left_by_rollback
from modelctl.switching.live import find_release, get_release, hint_of, models_of_release


def choose_release(clone: Clone, workspace: Snapshot, words: tuple[str, ...], *, verb: str) -> Release:
    """The release that is meant, be it named or, for a rollback, "the one before" (of a model, if named)."""
    names = {m.name for m in find_models(workspace, clone.settings)}
    if words and not (len(words) == 1 and words[0] in names and verb == "rollback"):
        return get_release(clone, words)
    if verb != "rollback":
        raise Usage("which release?", hint="modelctl deploy v5")
    return _previous(clone, workspace, words[0] if words else None)


def _previous(clone: Clone, workspace: Snapshot, model_name: str | None) -> Release:
    """The release that was live here before and is another one in content; else the next lower version.

    Releases that a rollback has left since they were last made live are presumed bad and passed over,
    so that a second bare rollback goes further back instead of oscillating.
    """
    models = [m for m in find_models(workspace, clone.settings) if model_name in {None, m.name, m.label}]
    if not models:
        raise NotFound("no model is live here", hint="modelctl rollback RELEASE")
    live = find_release(clone, models[0])[0]
    if len(models) > 1 and live is not None and len(models_of_release(clone, live)) < len(models):
        known = ", ".join(model.label for model in models)
        raise Usage(f"which model? there are {known}", hint=f"modelctl rollback {models[0].label}")
    bad = left_by_rollback(clone.history)
    by_tag = {release.tag.name: release for release in clone.releases}
    by_tag |= {tag.name: Release(tag, None) for tag in clone.tags if tag.name not in by_tag}
    names = [n for e in reversed(clone.history) if e.happened for n in (e.target.tag, e.source.tag) if n]
    if live is not None:
        names += [r.tag.name for r in _lower(clone, live)]
    elif not names:
        raise NotFound(
            "the model here is of no release, so there is none before it", hint=hint_of(clone, "modelctl list")
        )
    current = {out.content for model in models for out in model.outs}
    every = find_models(workspace, clone.settings)
    names_of_others = {model.name for model in every} - {model.name for model in models}
    for name in dict.fromkeys(names):
        release = by_tag.get(name)
        if release is None or name in bad or (live and name == live.tag.name):
            continue
        if live and live.version and release.version and release.version > live.version:
            continue
        if _is_other(clone, release, models[0], current, names_of_others):
            return release
    raise NotFound("there is no earlier release with another model", hint=hint_of(clone, "modelctl list"))


def _lower(clone: Clone, live: Release) -> list[Release]:
    same = [r for r in sort_releases(clone.releases) if r.model == live.model and r.version]
    return [r for r in same if live.version and r.version and r.version < live.version]


def _is_other(
    clone: Clone, release: Release, model: Model, current: set[tuple[str, Digest | None]], others: set[str]
) -> bool:
    """Whether a release is of the model, can be read and has other bytes than those that are live."""
    if release.model in others:
        return False
    try:
        models = models_of_release(clone, release)
    except NotFound:
        return False
    mine = [m for m in models if m.name == model.name] or list(models)
    outs = [out for m in mine for out in m.outs]
    whole = all(m.problem is None for m in mine) and not any(out.is_lost for out in outs)
    return whole and {out.content for out in outs} != current
