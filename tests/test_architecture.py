"""The house: imports point down only, and the outside world has one door each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import modelctl

SOURCE = Path(modelctl.__file__).parent
LAYERS = ["cli", "render", "commands", "switching", "stores", "domain", "errors"]
BESIDE = {
    "api": "cli",
    "__main__": "cli",
    "__init__": "cli",
    "completion": "cli",
    "integrations": "switching",
    "formats": "stores",
    "faults": "errors",
}
MODULES = sorted(SOURCE.rglob("*.py"))
RENDER_MAY_NAME = {"commands", "switching"}
"""Render imports the types of results, which commands take from the switch."""


def layer_of(dotted: str) -> int:
    room = dotted.split(".")[1] if "." in dotted else "__init__"
    return LAYERS.index(BESIDE.get(room, room))


def imports_of(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def dotted_name(path: Path) -> str:
    return ".".join(["modelctl", *path.relative_to(SOURCE).with_suffix("").parts])


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_imports_point_down(path: Path) -> None:
    """No module imports from a room above its own."""
    own = layer_of(dotted_name(path))
    for name in imports_of(path):
        if name.startswith("modelctl.") and name != "modelctl.api":
            assert layer_of(name) >= own, f"{dotted_name(path)} imports {name}"


@pytest.mark.parametrize(
    ("library", "door"),
    [("git", "stores/git.py"), ("dvc", "stores/dvc.py"), ("dvc_data", "stores/dvc.py"), ("typer", "cli.py")],
)
def test_each_library_has_one_door(library: str, door: str) -> None:
    """GitPython, DVC and Typer are imported in one module each."""
    users = {
        path.relative_to(SOURCE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports_of(path))
    }
    assert users <= {door}


def test_domain_has_no_input_or_output() -> None:
    """The domain imports nothing that reads, writes or runs."""
    outside = {"os", "pathlib", "subprocess", "shutil", "socket", "sqlite3", "io", "tempfile"}
    for path in MODULES:
        if path.parent.name == "domain":
            assert not outside & {name.split(".")[0] for name in imports_of(path)}, path


def test_only_render_and_cli_print() -> None:
    """Commands return results; nothing below the renderers prints."""
    for path in MODULES:
        if path.relative_to(SOURCE).parts[0] in {"render", "cli.py", "completion.py"}:
            continue
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not any(isinstance(func, ast.Name) and func.id == "print" for func in calls), path
