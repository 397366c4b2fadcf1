"""The main job on real input: five releases of a real model, the last one bad, and the way back.

Everything happens in a new folder below the system's temporary folder, which stays: real Git, a bare Git
remote, real DVC with a local remote, real training. `make demo` runs it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parent.parent
PIPELINE = ("dvc.yaml", "params.yaml", "src/digits", ".dvcignore", ".gitignore", "models/.gitignore", "data/.gitignore")
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Logistic regression", {"train": {"kind": "logistic", "logistic": {"C": 0.01}}}),
    ("Less regularisation", {"train": {"kind": "logistic", "logistic": {"C": 0.1}}}),
    ("Neural network", {"train": {"kind": "mlp"}}),
    ("Support vector machine", {"train": {"kind": "svc"}}),
    ("New labels from another supplier", {"train": {"kind": "svc"}, "prepare": {"mislabelled": 0.6}}),
)


class Sandbox:
    """A folder with a clone, its two remotes, and nothing of the user's own configuration."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modelctl-demo-"))
        self.work = self.folder / "digits"
        self.work.mkdir()
        config = self.folder / "gitconfig"
        config.write_text("[user]\n\tname = Ann Author\n\temail = ann@example.org\n[init]\n\tdefaultBranch = main\n")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder / "dvc-site"),
        }

    def quiet(self, command: str) -> None:
        """Run what is not the point; its output is shown only when it fails."""
        done = subprocess.run(
            shlex.split(command), cwd=self.work, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{command}\n{done.stdout}{done.stderr}")

    def type(self, command: str, *, expect: int = 0, env: dict[str, str] | None = None) -> None:
        """Run a command as one would type it, with its output below."""
        assignments = "".join(f"{name}={value} " for name, value in (env or {}).items())
        say(f"\n$ {assignments}{command}", bold=True)
        done = subprocess.run(shlex.split(command), cwd=self.work, env=self.env | (env or {}), check=False)
        if done.returncode == -9:
            say("Killed")
        if done.returncode != expect:
            sys.exit(f"this was to exit with {expect} and exited with {done.returncode}")


def say(text: str, *, bold: bool = False) -> None:
    """Print at once, so that it stands before what a command prints."""
    styled = f"\033[1m{text}\033[0m" if bold and sys.stdout.isatty() and "NO_COLOR" not in os.environ else text
    print(styled, flush=True)


def act(title: str) -> None:
    """Head a part of the demo."""
    say(f"\n— {title} —", bold=True)


def build(sandbox: Sandbox) -> None:
    """Make the repository with the pipeline, a bare Git remote and a local DVC remote."""
    for name in PIPELINE:
        source, target = PROJECT / name, sandbox.work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copy(PROJECT / "demo/predict.py", sandbox.work / "predict.py")
    sandbox.quiet("git init --quiet")
    sandbox.quiet("git init --quiet --bare ../digits.git")
    sandbox.quiet("git remote add origin ../digits.git")
    sandbox.quiet("dvc init --quiet")
    sandbox.quiet("dvc remote add --quiet --default store ../dvc-remote")


def train(sandbox: Sandbox) -> None:
    """Train and tag the five releases with plain DVC and Git."""
    for number, (title, params) in enumerate(VARIANTS, start=1):
        began = time.monotonic()
        path = sandbox.work / "params.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), params)))
        sandbox.quiet("dvc repro --quiet")
        sandbox.quiet("git add --all")
        sandbox.quiet(f"git commit --quiet --message '{title}'")
        sandbox.quiet(f"git tag model-v{number}")
        say(f"  dvc repro && git commit && git tag model-v{number}   {title}, {time.monotonic() - began:.1f} s")
    sandbox.quiet("dvc push --quiet --all-commits")
    sandbox.quiet("git push --quiet --set-upstream origin main --tags")


def merged(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with the nested `changes` laid over it."""
    result = dict(document)
    for key, value in changes.items():
        result[key] = merged(result[key], value) if isinstance(value, dict) else value
    return result


def main() -> None:
    """Play the demo; exits non-zero when anything is not as it says."""
    began = time.monotonic()
    sandbox = Sandbox()
    say(f"Working in {sandbox.folder}")
    build(sandbox)

    act("Five releases, trained for real")
    train(sandbox)

    act("Version 5 is live, and something is wrong with it")
    sandbox.type("modelctl list")
    sandbox.type("python predict.py")
    sandbox.type("modelctl diff v4 v5")

    act("The last good one back")
    sandbox.type('modelctl rollback --reason "v5 misreads one image in four"')
    sandbox.type("python predict.py")
    sandbox.type("git status --short")

    act("A rollback killed half way (SIGKILL), and the next command")
    sandbox.type("modelctl rollback v2", expect=-9, env={"MODELCTL_FAULT": "git.head:before:1:KILL"})
    sandbox.type("python predict.py")
    say("(half way: the bytes are those of v2 already, HEAD and the pointers still those of v4)")
    sandbox.type("modelctl status")
    sandbox.type("python predict.py")

    act("Back to where it began")
    sandbox.type("modelctl rollback --undo")
    sandbox.type("modelctl history")

    say(f"\nDone in {time.monotonic() - began:.0f} s. The repository stays for you to play with:")
    say(f"  cd {sandbox.work}")


if __name__ == "__main__":
    main()
