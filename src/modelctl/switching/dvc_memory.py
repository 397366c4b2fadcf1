"""After a switch: DVC's own memory of the outs is brought up to what lies there now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from modelctl.domain.pointers import Digest
from modelctl.errors import ModelctlError
from modelctl.stores import dvc_state
from modelctl.stores.dvc_config import load_config
from modelctl.stores.objects import Cache
from modelctl.switching.clone import Clone
from modelctl.switching.journal import Swap


def share_with_cache_of_then(clone: Clone, swaps: Iterable[Swap]) -> None:
    """Give the clone's own `.dvc/cache` the objects of the outs that are live, where DVC looks there now.

    So it is at a release from before `cache.dir` was set: without it `dvc status` would say that the model is
    not in the cache. Objects are hard-linked where that can be, else copied. Any other place that an old
    configuration names is left alone. A courtesy that never fails.
    """
    for swap in swaps:
        if swap.new_digest is not None:
            with contextlib.suppress(ModelctlError, OSError):
                _share(clone, swap, swap.new_digest)


def _share(clone: Clone, swap: Swap, digest: Digest) -> None:
    today, then = clone.cache(swap.root), Cache(load_config(clone.git.top / swap.root).cache_dir, clone.known)
    if then.folder != today.folder and then.folder == clone.git.top / swap.root / ".dvc" / "cache":
        for item in today.objects_of(digest):
            then.adopt(today.path(item), item)


def tell_dvc(clone: Clone, swaps: Iterable[Swap]) -> None:
    """Have DVC know the outs that were put in place: `dvc status` need not hash them, `dvc checkout` may go on.

    A courtesy that never fails: without it DVC reads the bytes again.
    """
    by_root: dict[str, list[dvc_state.Placed]] = {}
    for swap in swaps:
        if swap.new_digest is not None:
            by_root.setdefault(swap.root, []).append(_placed(clone, swap))
    for root, placed in by_root.items():
        dvc_state.remember(clone.git.top / root, placed)


def _placed(clone: Clone, swap: Swap) -> dvc_state.Placed:
    path = clone.git.top / swap.path
    if swap.new_digest is None or not swap.new_digest.is_dir:
        return dvc_state.Placed(path, {"": swap.new_digest} if swap.new_digest else {})
    try:
        return dvc_state.Placed(path, clone.cache(swap.root).get_manifest(swap.new_digest).files)
    except (ModelctlError, OSError):
        return dvc_state.Placed(path, {})
