"""`init`: make a folder ready for releases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelctl.errors import NotFound
from modelctl.stores.files import write_durably
from modelctl.stores.git import init_git, open_git

_SETTINGS = """\
# Settings of modelctl; every one is optional. https://dvc.org artifacts in dvc.yaml name models too.

# How tags name releases, beside model-v5 and model@v1.2.0:
# tag_format = "v{version}"

# The metrics that `modelctl list` shows:
# metrics = ["accuracy"]

# Models that no `artifacts:` entry in dvc.yaml names:
# [models]
# churn = ["models/churn.pkl"]
"""
_IGNORED = ("/.venv/", "__pycache__/")


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was made, and what was there already."""

    top: Path
    made: tuple[str, ...]
    kept: tuple[str, ...]


def init(folder: Path) -> InitResult:
    """Make Git, DVC, `modelctl.toml`, `models/` and `.gitignore` where they are missing; nothing is overwritten.

    Nothing is committed. Doing it again changes nothing.
    """
    made: list[str] = []
    kept: list[str] = []

    def note(name: str, *, new: bool) -> None:
        (made if new else kept).append(name)

    folder.mkdir(parents=True, exist_ok=True)
    try:
        top = open_git(folder).top
        note("Git repository", new=False)
    except NotFound:
        top = init_git(folder)
        note("Git repository", new=True)
    if not (top / ".dvc").is_dir():
        from modelctl.stores.dvc import init_dvc

        init_dvc(top)
        note("DVC repository", new=True)
    else:
        note("DVC repository", new=False)
    for name, text in (("modelctl.toml", _SETTINGS), (".gitignore", "\n".join(_IGNORED) + "\n")):
        new = not (top / name).exists()
        if new:
            write_durably(top / name, text.encode())
        note(name, new=new)
    new = not (top / "models").exists()
    (top / "models").mkdir(exist_ok=True)
    note("models/", new=new)
    return InitResult(top, tuple(made), tuple(kept))
