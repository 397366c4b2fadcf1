"""After a switch: DVC's own memory of the outs is brought up to what lies there now."""

from __future__ import annotations

from collections.abc import Iterable

from modelctl.errors import ModelctlError
from modelctl.stores import dvc_state
from modelctl.switching.clone import Clone
from modelctl.switching.journal import Swap


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
