"""Every command in README and docs is run, and prints what stands there.

`MODELCTL_UPDATE_DOCS=1 make docs` writes the output anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT / "demo"))
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = (
    (r"\b\d{4}-\d\d-\d\d( \d\d:\d\d)?", "DATE"),
    (r"\b[0-9a-f]{40}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{7}\b", "COMMIT"),
    (r"\b\d+\.\d+ s\b", "TIME"),
    (r"/\S*modelctl-demo-\w+", "SANDBOX"),
)


@pytest.fixture(scope="module")
def demo_repository() -> Path:
    """The repository that the demo leaves, with five releases trained for real."""
    import demo

    sandbox = demo.Sandbox()
    demo.build(sandbox)
    demo.train(sandbox)
    return sandbox.folder


@pytest.fixture
def page_repository(demo_repository: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    import shutil

    target = tmp_path / "modelctl-demo-docs"
    shutil.copytree(demo_repository, target, symlinks=True)
    subprocess.run(["git", "status", "--porcelain"], cwd=target / "digits", capture_output=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(target / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(target / "dvc-site"),
        "COLUMNS": "118",
    }
    return target / "digits", env


def blocks(page: Path, kind: str) -> Iterator[re.Match[str]]:
    return (match for match in BLOCK.finditer(page.read_text()) if match["kind"] == kind)


def plain(text: str) -> str:
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def run(body: str, folder: Path, env: dict[str, str]) -> str:
    """Run each `$ command` of a block and return the block with real output."""
    shown = []
    for line in body.splitlines():
        if line.startswith("$ "):
            done = subprocess.run(
                line[2:], shell=True, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}"
            shown += [line, *(text.rstrip() for text in done.stdout.rstrip().splitlines())]
    return "\n".join(shown) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if next(blocks(page, "console"), None)], ids=lambda p: p.name)
def test_examples_print_what_stands_there(page: Path, page_repository: tuple[Path, dict[str, str]]) -> None:
    """Each console block of a page, one after the other, exits 0 with the output that the page shows."""
    text = page.read_text()
    for match in list(blocks(page, "console")):
        real = run(match["body"], *page_repository)
        if os.environ.get("MODELCTL_UPDATE_DOCS"):
            real = real.replace(str(page_repository[0].parent), "/home/ann/modelctl-demo-docs")
            text = text.replace(match["body"], real)
            page.write_text(text)
        else:
            assert plain(real) == plain(match["body"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_blocks_are_what_they_say(page: Path) -> None:
    """Python and TOML blocks parse, and shell blocks are make targets that exist."""
    for match in blocks(page, "python"):
        compile(match["body"], str(page), "exec")
    for match in blocks(page, "toml"):
        tomllib.loads(match["body"])
    for match in blocks(page, "sh"):
        for line in match["body"].splitlines():
            command = line.partition("#")[0].split()
            assert command[0] == "make"
            assert subprocess.run(["make", "-n", *command[1:]], cwd=PROJECT, capture_output=True).returncode == 0


def test_python_example_runs(page_repository: tuple[Path, dict[str, str]]) -> None:
    """The Python example of the README runs as it stands."""
    (example,) = blocks(PROJECT / "README.md", "python")
    folder, env = page_repository
    done = subprocess.run([sys.executable, "-c", example["body"]], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
