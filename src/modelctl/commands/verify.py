"""`verify`: content against pointers, in the cache or on the remote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelctl.commands.fetch import restorable_outs
from modelctl.commands.show import message_of
from modelctl.domain.bindings import parse_binding
from modelctl.domain.manifests import parse_manifest
from modelctl.domain.pointers import Digest, Out
from modelctl.domain.releases import Release, sort_releases
from modelctl.errors import ModelctlError, NotFound
from modelctl.stores.files import hash_file
from modelctl.switching.acquire import Progress
from modelctl.switching.clone import Clone
from modelctl.switching.digests import sha256_of
from modelctl.switching.live import find_live, get_release

Verdict = Literal["ok", "incomplete", "corrupt", "not restorable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRelease:
    """Whether one release can be restored from where was looked.

    `ok`: every object is there and holds what its name says, and the tag's SHA-256 where it has one.
    `incomplete` names objects that are not there, `corrupt` those that hold something else.
    """

    release: str
    tag: str
    verdict: Verdict
    objects: int
    missing: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()
    bound: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The releases that were verified, and where: `cache` or `remote`."""

    where: str
    releases: tuple[VerifiedRelease, ...]

    @property
    def ok(self) -> bool:
        """Whether every release can be restored."""
        return all(release.verdict == "ok" for release in self.releases)


def verify(
    clone: Clone,
    *,
    words: tuple[str, ...] = (),
    everything: bool = False,
    remote: bool = False,
    progress: Progress | None = None,
) -> VerifyResult:
    """Hash the objects of a release (of all with `everything`; without words, of what is live) and compare.

    Every byte is read again: nothing that was known before is believed. Raises `Unavailable` when the
    remote cannot be asked.
    """
    if everything:
        wanted = sort_releases(clone.releases)
    elif words:
        wanted = [get_release(clone, words)]
    else:
        wanted = _live(clone)
    found = []
    for release in wanted:
        if progress:
            progress(f"verifying {release.tag.name}")
        found.append(_verify(clone, release, remote=remote))
    return VerifyResult("remote" if remote else "cache", tuple(found))


def _live(clone: Clone) -> list[Release]:
    live = find_live(clone, clone.workspace(), check_bytes=False)
    if wanted := [item.release for item in live if item.release]:
        return wanted
    raise NotFound("the model here is of no release", hint="modelctl verify --all")


def _verify(clone: Clone, release: Release, *, remote: bool) -> VerifiedRelease:
    try:
        outs = restorable_outs(clone, release)
    except ModelctlError as exc:
        return VerifiedRelease(
            release=release.label, tag=release.tag.name, verdict="not restorable", objects=0, why=exc.message
        )
    if not outs:
        return VerifiedRelease(
            release=release.label,
            tag=release.tag.name,
            verdict="not restorable",
            objects=0,
            why="it has no out that DVC could restore",
        )
    check = _on_remote if remote else _in_cache
    states = [check(clone, out) for out in outs]
    missing = tuple(name for state in states for name in state[0])
    corrupt = tuple(name for state in states for name in state[1])
    bound, wrong = (False, ()) if remote or missing or corrupt else _bound(clone, release, outs)
    corrupt += wrong
    return VerifiedRelease(
        release=release.label,
        tag=release.tag.name,
        verdict="corrupt" if corrupt else "incomplete" if missing else "ok",
        objects=sum(state[2] for state in states),
        missing=missing,
        corrupt=corrupt,
        bound=bound,
    )


_State = tuple[list[str], list[str], int]


def _in_cache(clone: Clone, out: Out) -> _State:
    cache, missing, corrupt = clone.caches(out), [], []
    if out.digest is None:
        return [], [], 0
    if out.digest.is_dir and cache.has(out.digest) and not _holds(cache.path(out.digest), out.digest):
        return [], [f"{out.path} (its manifest)"], 1
    named = _named(out, cache.get_manifest(out.digest).files if out.digest.is_dir and cache.has(out.digest) else {})
    for digest, name in named.items():
        if not cache.has(digest):
            missing.append(name)
        elif not _holds(cache.path(digest), digest):
            cache.known.forget([cache.path(digest)])
            corrupt.append(name)
        else:
            cache.known.note(cache.path(digest), digest)
    return missing, corrupt, len(named)


def _on_remote(clone: Clone, out: Out) -> _State:
    from modelctl.stores import dvc

    if out.digest is None:
        return [], [], 0
    with dvc.open_remote(clone.config(out.root), out.remote) as remote:
        files: Mapping[str, Digest] = {}
        if out.digest.is_dir and remote.sizes([out.digest])[out.digest] is not None:
            if not remote.holds(out.digest):
                return [], [f"{out.path} (its manifest)"], 1
            files = parse_manifest(remote.read(out.digest), digest=out.digest).files
        named = _named(out, files)
        sizes = remote.sizes(named)
        missing = [name for digest, name in named.items() if sizes[digest] is None]
        bad = remote.unsound(digest for digest in named if sizes[digest] is not None)
    corrupt = [name for digest, name in named.items() if digest in bad]
    return missing, corrupt, len(named)


def _named(out: Out, files: Mapping[str, Digest]) -> dict[Digest, str]:
    """The objects of an out, each with the path that it is for."""
    named: dict[Digest, str] = {out.digest: out.path} if out.digest else {}
    for path, digest in files.items():
        named.setdefault(digest, f"{out.path}/{path}")
    return named


def _holds(path: Path, digest: Digest) -> bool:
    return hash_file(path) == digest.md5 or (digest.legacy and hash_file(path, text=True) == digest.md5)


def _bound(clone: Clone, release: Release, outs: list[Out]) -> tuple[bool, tuple[str, ...]]:
    """Whether the tag binds SHA-256 digests, and the outs that do not have them."""
    binding = parse_binding(message_of(clone, release.tag)) if release.tag.annotated else None
    if binding is None:
        return False, ()
    by_path = {out.path: out for out in outs}
    wrong = []
    for bound in binding.outs:
        out = by_path.get(bound.path)
        if out is None or out.digest is None or out.digest.oid != bound.oid:
            wrong.append(f"{bound.path} (the tag binds other bytes than the commit's pointer)")
        elif sha256_of(clone.caches(out), out.digest) != bound.sha256:
            wrong.append(f"{bound.path} (SHA-256 differs from the tag's)")
    return True, tuple(wrong)
