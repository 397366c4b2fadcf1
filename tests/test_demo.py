"""`make demo`, and the pipeline of this project that it trains."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.mark.slow
def test_demo_plays_through() -> None:
    """The demo trains five models, and its commands do what it says, the kill and the undo included."""
    done = subprocess.run(
        [sys.executable, PROJECT / "demo/demo.py"], capture_output=True, text=True, cwd=PROJECT, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    right = [float(share) for share in re.findall(r"read correctly \(([\d.]+)%\)", done.stdout)]
    before, after, killed, recovered = right
    assert before < 80 < killed < 98 < after == recovered
    assert "undone" in done.stderr
    folder = Path(done.stdout.split("Working in ")[1].splitlines()[0])
    assert (folder / "digits/models/digits.skops").exists()


def test_own_pointers_are_committed_and_bytes_are_not() -> None:
    """In this repository Git has the pointers and metrics, DVC the bytes."""
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=PROJECT).stdout.split()
    assert {"dvc.yaml", "dvc.lock", "params.yaml", "metrics.json"} <= set(tracked)
    assert not [name for name in tracked if name.endswith((".skops", ".npz"))]
