"""modelctl: releases, review and rollback of models in a Git + DVC repository.

The command line and this Python API do the same work through the same code::

    import modelctl

    repo = modelctl.Repository(".")
    repo.rollback("v4", reason="v5 mistakes 3 for 8")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelctl.errors import (
    Integrity,
    Locked,
    ModelctlError,
    NotFound,
    RecoveryNeeded,
    Refused,
    Unavailable,
    Usage,
)

if TYPE_CHECKING:
    from modelctl.api import Repository

__version__ = "0.1.0"
__all__ = [
    "Integrity",
    "Locked",
    "ModelctlError",
    "NotFound",
    "RecoveryNeeded",
    "Refused",
    "Repository",
    "Unavailable",
    "Usage",
]


def __getattr__(name: str) -> Any:
    """Import `Repository` on first use, so that `modelctl --version` stays instant."""
    if name == "Repository":
        from modelctl.api import Repository

        return Repository
    raise AttributeError(f"module 'modelctl' has no attribute {name!r}")
