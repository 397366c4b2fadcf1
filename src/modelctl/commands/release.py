"""`release`: objects on the remote, proved; then the tag, bound to the bytes and pushed in one step."""

from __future__ import annotations

from dataclasses import dataclass

from modelctl.domain.bindings import Binding, BoundOut, format_binding
from modelctl.domain.paths import quoted
from modelctl.domain.pointers import Digest, Out
from modelctl.domain.releases import sort_releases
from modelctl.domain.snapshots import Model, Snapshot, find_models
from modelctl.domain.tags import DEFAULT_MODEL, format_tag, parse_tag
from modelctl.domain.versions import Version, parse_version
from modelctl.errors import Integrity, ModelctlError, NotFound, Refused, Unavailable, Usage
from modelctl.stores.git import Git
from modelctl.stores.objects import compare_workspace
from modelctl.switching.acquire import Progress
from modelctl.switching.clone import Clone
from modelctl.switching.digests import sha256_of, size_of
from modelctl.switching.holdings import objects_by_remote

_COPIES = ("reflink", "copy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """A release that was made: its tag, and the objects (with their bytes) proved to be on the remote.

    `pushed_to` is the Git remote that has branch and tag now, None in a clone without one.
    """

    tag: str
    version: str
    model: str
    commit: str
    outs: tuple[BoundOut, ...]
    objects: int
    bytes: int
    pushed_objects: int
    pushed_to: str | None
    branch: str | None
    existed: bool = False


def release(
    clone: Clone,
    *,
    version: str,
    model: str | None = None,
    message: str = "",
    progress: Progress | None = None,
) -> ReleaseResult:
    """Release the committed state of a model.

    Raises `Refused` when bytes differ from their pointer, a pointer is not committed, or the release
    exists elsewhere; `Unavailable` when an object is not proved to be on the remote or the push fails.
    After any error neither the local nor the remote repository has the tag.
    """
    number = _version(version)
    with clone.lock(wait=60):
        chosen = _choose_model(clone, model, number)
        _check_committed(clone, chosen)
        _check_bytes(clone, chosen)
        tag = format_tag(model or chosen[0].name, number, _formats(clone, model or chosen[0].name))
        if parse_tag(tag, clone.settings.tag_formats) is None or not clone.git.is_valid_tag(tag):
            raise Usage(f"{tag} is no name for a release tag", hint="modelctl release v5")
        existed = _check_new(clone, tag)
        remote = _git_remote(clone)
        if remote is not None:
            clone.git.has_remote_tag(remote, tag)
        outs = [out for m in chosen for out in m.outs if out.unrestorable is None]
        pushed, proved = _push_objects(clone, outs, progress)
        binding = _bind(clone, model or chosen[0].name, number, outs)
        text = f"{message.strip() or f'Release {tag}'}\n\n{format_binding(binding)}\n"
        _publish(clone, tag, text, remote, existed=existed)
    return ReleaseResult(
        tag=tag,
        version=str(number),
        model=binding.model,
        commit=clone.head.commit or "",
        outs=binding.outs,
        objects=len(proved),
        bytes=sum(proved.values()),
        pushed_objects=pushed,
        pushed_to=remote,
        branch=clone.head.branch.removeprefix("refs/heads/") if clone.head.branch else None,
        existed=existed,
    )


def _formats(clone: Clone, model: str) -> tuple[str, ...]:
    """The form of new tags: that of the settings, else that of the model's newest release."""
    if clone.settings.tag_formats:
        return clone.settings.tag_formats
    before = next((r for r in sort_releases(clone.releases) if r.model == model), None)
    return ("{model}@v{version}",) if before and before.tag.name.startswith(f"{model}@v") else ()


def _version(text: str) -> Version:
    named = parse_tag(text)
    version = parse_version(text) or (named.version if named else None)
    if version is None:
        raise Usage(f"{text!r} is no version", hint="modelctl release v5   # or v1.2.0")
    return version


def _choose_model(clone: Clone, name: str | None, number: Version) -> tuple[Model, ...]:
    models = find_models(_head(clone), clone.settings)
    if not models:
        raise NotFound(
            "no model here: no artifacts in dvc.yaml, none in modelctl.toml, nothing tracked under models/",
            hint="dvc add models/YOUR_MODEL && git add models && git commit",
        )
    if name is None and len(models) > 1:
        names = ", ".join(model.label for model in models)
        raise Usage(f"which model? there are {names}", hint=f"modelctl release {models[0].name} {number}")
    chosen = tuple(model for model in models if name in {None, model.name, model.label})
    if not chosen and name == DEFAULT_MODEL:
        chosen = models
    if not chosen:
        names = ", ".join(model.label for model in models)
        raise NotFound(f"no model {name} here", hint=f"models are {names}")
    if problem := next((model.problem for model in chosen if model.problem), None):
        raise Integrity(f"the model is not readable: {problem}")
    return chosen


def _head(clone: Clone) -> Snapshot:
    if clone.head.commit is None:
        raise NotFound("this repository has no commit yet", hint="git commit -m 'first commit'")
    return clone.catalog.snapshot(clone.head.commit)


def _check_committed(clone: Clone, models: tuple[Model, ...]) -> None:
    """Refuse a pointer whose text in the working tree is not the committed one."""
    pointers = {out.pointer for model in models for out in model.outs}
    changed = sorted(entry.path for entry in clone.git.status() if entry.path in pointers)
    if changed:
        raise Refused(
            f"the pointer {changed[0]} is not committed",
            hint=f"git add {quoted(changed[0])} && git commit -m 'New model'",
        )
    workspace = {out.path for model in find_models(clone.workspace(), clone.settings) for out in model.outs}
    if new := sorted(workspace - {out.path for model in models for out in model.outs} - _others(clone, models)):
        raise Refused(f"the pointer of {new[0]} is not committed", hint="git add models && git commit -m 'New model'")


def _others(clone: Clone, models: tuple[Model, ...]) -> set[str]:
    every = find_models(_head(clone), clone.settings)
    return {out.path for model in every if model not in models for out in model.outs}


def _check_bytes(clone: Clone, models: tuple[Model, ...]) -> None:
    """Refuse a model whose bytes in the workspace are not those of its pointer."""
    for out in (out for model in models for out in model.outs if out.cached):
        if out.digest is None:
            raise Refused(f"{out.path} is declared without a hash", hint=f"dvc commit {quoted(out.pointer)}")
        path = clone.git.top / out.path
        difference = compare_workspace(clone.caches(out), path, out.digest, shown=out.path)
        if difference.missing and not difference.unsaved:
            raise Refused(
                f"{difference.missing[0]} is not in the workspace", hint=f"dvc checkout {quoted(out.pointer)}"
            )
        if difference:
            raise Refused(
                f"{difference.unsaved[0]} differs from its pointer {out.pointer}",
                hint=f"dvc commit {quoted(out.pointer)} && git commit {quoted(out.pointer)}",
            )


def _check_new(clone: Clone, tag: str) -> bool:
    """Whether the tag is here already, at HEAD, from an earlier attempt; raises `Refused` when it is another's."""
    here = next((t for t in clone.tags if t.name == tag), None)
    if here is not None and here.commit != clone.head.commit:
        raise Refused(
            f"{tag} exists already, at {here.commit[:12]}",
            hint=f"git show {quoted(tag)}   # take the next version",
        )
    return here is not None


def _push_objects(clone: Clone, outs: list[Out], progress: Progress | None) -> tuple[int, dict[Digest, int]]:
    """Push what the remote lacks and prove that it has every object, with its size."""
    from modelctl.stores import dvc

    pushed = 0
    proved: dict[Digest, int] = {}
    _adopt_from_workspace(clone, outs)
    for (root, name), digests in objects_by_remote(clone, outs).items():
        cache = clone.cache(root)
        if bad := [digest for digest in digests if not cache.is_sound(digest)]:
            raise Integrity(f"the cached object {bad[0].oid} does not hold what its name says", hint="modelctl verify")
        with dvc.open_remote(clone.config(root), name, may_create=True) as remote:
            sizes = remote.sizes(digests)
            absent = [d for d in digests if sizes[d] != cache.path(d).stat().st_size]
            if absent:
                if progress:
                    progress(f"pushing {len(absent)} object{'s' * (len(absent) != 1)} to {remote.url}")
                remote.push(sorted(absent, key=lambda digest: digest.is_dir))
                pushed += len(absent)
                sizes |= remote.sizes(absent)
        for digest in digests:
            if sizes[digest] != cache.path(digest).stat().st_size:
                raise Unavailable(
                    f"object {digest.oid} is not proved to be on {clone.config(root).remote_url(name)}",
                    hint="dvc push   # and again",
                )
            proved[digest] = sizes[digest] or 0
    return pushed, proved


def _adopt_from_workspace(clone: Clone, outs: list[Out]) -> None:
    """Give the cache what it lacks of a model whose bytes in the workspace were just found to be right."""
    for out in outs:
        cache, here = clone.caches(out), clone.git.top / out.path
        if out.digest is None:
            continue
        if not out.digest.is_dir and not cache.has(out.digest):
            cache.adopt(here, out.digest, kinds=_COPIES)
        elif out.digest.is_dir and cache.has(out.digest):
            for name, file in cache.get_manifest(out.digest).files.items():
                if not cache.has(file):
                    cache.adopt(here / name, file, kinds=_COPIES)
        elif out.digest.is_dir:
            raise Unavailable(
                f"the manifest of {out.path} is not in the cache", hint=f"dvc commit {quoted(out.pointer)}"
            )


def _bind(clone: Clone, model: str, number: Version, outs: list[Out]) -> Binding:
    bound = [
        BoundOut(
            out.path,
            out.digest.oid,
            sha256_of(clone.caches(out), out.digest),
            size_of(clone.caches(out), out.digest),
        )
        for out in outs
        if out.digest is not None
    ]
    return Binding(model, str(number), tuple(sorted(bound)))


def _git_remote(clone: Clone) -> str | None:
    names = clone.git.remotes()
    wanted = clone.settings.git_remote
    if wanted is not None and wanted not in names:
        raise NotFound(f"the Git remote {wanted} of the settings does not exist", hint=f"git remote add {wanted} URL")
    return wanted or ("origin" if "origin" in names else names[0] if names else None)


def _publish(clone: Clone, tag: str, text: str, remote: str | None, *, existed: bool) -> None:
    """Make the tag and push it with its branch, all or nothing; a tag that was refused is taken away again."""
    git: Git = clone.git
    oid = git.tag_object(tag) if existed else git.create_tag(tag, clone.head.commit or "", text)
    if remote is None:
        return
    try:
        git.push_release(remote, tag, clone.head.branch)
    except ModelctlError:
        if not existed:
            git.delete_tag(tag, oid)
        raise
