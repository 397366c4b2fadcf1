"""The command line through `main()`: exit codes, the two lines of an error, the envelope, completion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from modelctl import __version__
from modelctl.cli import COMMANDS
from modelctl.cli import main as modelctl
from tests.repos import Repo, Run, main

HEAVY = {"dvc", "dvc_data", "dvc_objects", "git", "rich", "yaml", "sqlite3", "filelock"}
LOADED = f"import sys; found = {{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}; print(sorted(found))"
DOCS = Path(__file__).parent.parent / "docs" / "json.md"

RELEASE = {"model", "version", "tag", "commit", "date", "author", "size", "metrics", "unavailable", "live", "bytes"}
RELEASE |= {"why", "remote"}
ENTRY = {"id", "verb", "mode", "started", "finished", "seconds", "who", "reason", "source", "target", "home"}
ENTRY |= {"models", "everything", "outcome", "undoes", "committed", "note"}
SWITCH = {"verb", "mode", "source", "target", "tag", "commit", "branch", "models", "outs", "files", "left", "notes"}
SWITCH |= {"reason", "changed", "dry_run", "fetched_objects", "fetched_bytes", "set_aside", "to_fetch", "seconds"}
SWITCH |= {"entry", "committed", "follow_up"}
OUT_CHANGE = {"model", "kind", "path", "old_path", "old_size", "new_size", "old_md5", "new_md5", "directory", "files"}

# The keys of each result, and those of the first item of each list in it.
CONTRACT: dict[str, tuple[list[str], set[str], dict[str, set[str]]]] = {
    "list": ([], {"releases", "metrics", "note"}, {"releases": RELEASE}),
    "show": (
        ["v2"],
        {"release", "message", "tag_message", "pointers", "stages", "params", "remotes", "problems"},
        {
            "pointers": {"model", "path", "pointer", "md5", "directory", "size", "files", "remote", "why"},
            "release": RELEASE,
        },
    ),
    "status": (
        [],
        {"head", "branch", "home", "models", "problems", "modified", "unfinished", "link_types"},
        {"models": {"model", "release", "tag", "same_as", "exact", "missing", "changed", "extra"}},
    ),
    "diff": (
        ["v1", "v2"],
        {"old", "new", "models", "data", "metrics", "params", "dependencies", "unavailable", "problems"},
        {"models": OUT_CHANGE},
    ),
    "rollback": (
        ["v2", "--reason", "why not"],
        SWITCH,
        {"outs": {"path", "action", "size", "md5"}, "entry": ENTRY},
    ),
    "deploy": (["v1"], SWITCH, {"outs": {"path", "action", "size", "md5"}, "entry": ENTRY}),
    "history": ([], {"entries"}, {"entries": ENTRY}),
    "release": (
        ["v4"],
        {"tag", "version", "model", "commit", "outs", "objects", "bytes", "pushed_objects", "pushed_to", "branch"}
        | {"existed"},
        {"outs": {"path", "oid", "sha256", "size"}},
    ),
    "fetch": (
        ["--last", "1"],
        {"releases"},
        {"releases": {"release", "tag", "objects", "bytes", "set_aside", "error"}},
    ),
    "verify": (
        ["v3"],
        {"where", "releases"},
        {"releases": {"release", "tag", "verdict", "objects", "missing", "corrupt", "bound", "why"}},
    ),
    "path": (["v1"], {"release", "model", "path", "outs"}, {}),
    "recover": ([], {"outcome", "message", "kept"}, {}),
    "init": ([], {"top", "made", "kept"}, {}),
}


def envelope(run: Run) -> dict[str, object]:
    """The one object on standard output; there is nothing else."""
    assert run.out.count("\n") == 1
    assert run.out.isascii()
    found = json.loads(run.out)
    assert set(found) == {"schema", "ok", "result", "error", "messages"}
    assert found["ok"] == (run.code == 0) == (found["error"] is None)
    if found["error"]:
        assert set(found["error"]) == {"kind", "message", "hint", "exit_code"}
        assert found["error"]["exit_code"] == run.code
    return found


def error_lines(run: Run) -> list[str]:
    """The lines on standard error: lower case, what is wrong and what to do."""
    lines = run.err.splitlines()
    assert lines[0].startswith("error: ")
    assert all(line.startswith(("error: ", "hint: ")) for line in lines), run.err
    assert all(line.partition(": ")[2][0] == line.partition(": ")[2][0].lower() for line in lines)
    assert "Traceback" not in run.err
    return lines


@pytest.mark.parametrize("command", CONTRACT)
def test_envelope_of_every_command(command: str, repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` each command prints the envelope that docs/json.md describes, with exactly these keys."""
    words, keys, nested = CONTRACT[command]
    if command == "history":
        main(capsys, repo, "rollback", "v1")
    run = main(capsys, repo, command, *words, "--json")
    found = envelope(run)
    assert run.code == 0
    assert found["schema"] == f"modelctl.{command}/1"
    result = found["result"]
    assert set(result) == keys
    for name, expected in nested.items():
        item = result[name][0] if isinstance(result[name], list) else result[name]
        assert set(item) == expected
    text = DOCS.read_text()
    assert f"modelctl.{command}/1" in text
    assert all(f"`{key}`" in text for key in keys.union(*nested.values()))


def test_contract_covers_every_command() -> None:
    """No command is left out of the contract."""
    assert sorted(COMMANDS) == sorted(CONTRACT)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_plain_and_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command is one sentence, its options, and a line to paste."""
    assert modelctl([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example:\n" in text
    assert f"modelctl {command}" in text.partition("Example:")[2]
    assert text.isascii()
    for option in ("--repo", "--json", "--quiet", "--verbose"):
        assert option in text


def test_overview_lists_commands_without_cutting_them_off(capsys: pytest.CaptureFixture[str]) -> None:
    """`modelctl` alone shows what there is, each command in one whole line."""
    assert modelctl([]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^  {command} +\w", text, re.MULTILINE) for command in COMMANDS)
    assert "..." not in text.partition("Commands:")[2]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version."""
    assert modelctl(["--version"]) == 0
    assert capsys.readouterr().out == f"modelctl {__version__}\n"


def test_version_imports_nothing_heavy() -> None:
    """`modelctl --version` answers without DVC, GitPython, Rich, YAML or SQLite."""
    code = f"from modelctl.cli import main; main(['--version']); {LOADED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"modelctl {__version__}", "[]"], done.stderr


def complete(line: str, cwd: Path, *, then: str = "") -> list[str]:
    """What Bash would offer at the end of `line`."""
    words = line.split(" ")
    env = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_MODELCTL_COMPLETE": "complete_bash"}
    code = f"from modelctl.cli import main; assert main() == 0; print(); {then}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if then else done.stdout.split()


def test_completion_of_releases(repo: Repo) -> None:
    """Versions are offered newest first, and tags in full for who began to type one."""
    assert complete("modelctl rollback ", repo.path) == ["v3", "v2", "v1"]
    assert complete("modelctl show model-", repo.path) == ["model-v3", "model-v2", "model-v1"]
    assert complete(f"modelctl show -C {repo.path} v", Path("/")) == ["v3", "v2", "v1"]
    assert complete(f"modelctl -C {repo.path} show v", Path("/")) == ["v3", "v2", "v1"]


def test_completion_with_several_models(repo: Repo) -> None:
    """With several models releases are offered with the model, and after a model's name its versions."""
    repo.tag("churn-v1.0")
    repo.tag("churn@v2.0.0")
    assert complete("modelctl rollback ch", repo.path) == ["churn@v2.0.0", "churn-v1.0"]
    assert complete("modelctl rollback churn ", repo.path) == ["v2.0.0", "v1.0"]
    assert complete("modelctl list ", repo.path) == ["churn", "model"]


def test_completion_offers_nothing_that_a_shell_would_run(repo: Repo) -> None:
    """A tag with characters that mean something to a shell is not offered."""
    repo.write("modelctl.toml", 'tag_format = "{version}"\n')
    for name in ("a;b-v7", "a$(id)=model@v7", "a`id`=model@v8"):
        repo.git("update-ref", f"refs/tags/{name}", repo.head())
    assert complete("modelctl rollback model-", repo.path) == ["model-v3", "model-v2", "model-v1"]
    assert not any("id" in word for word in complete("modelctl rollback ", repo.path))


def test_completion_is_silent_where_there_is_nothing(tmp_path: Path) -> None:
    """Outside a repository nothing is offered and nothing is said."""
    assert complete("modelctl rollback ", tmp_path) == []


def test_completion_imports_nothing_heavy(repo: Repo) -> None:
    """Completion answers without DVC, GitPython, Rich, YAML or SQLite."""
    assert complete("modelctl rollback ", repo.path, then=LOADED)[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["rollback", "--foo"], "no such option: --foo", "modelctl rollback --help"),
        (["show"], "missing argument 'RELEASE...'", "modelctl show --help"),
        (["rolback"], "no such command 'rolback'", "did you mean 'rollback'?"),
        (["history", "--last", "x"], "invalid value for '--last': 'x' is not a valid integer range", None),
        (["rollback", "a", "b", "c"], "a release is one word or two: a b c", None),
        (["rollback", "--all", "--models-only"], "--all and --models-only exclude each other", None),
        (["rollback", "v1", "--commit"], "--commit goes with --models-only", None),
        (["rollback", "v1", "--undo"], "--undo takes no release", "modelctl rollback --undo"),
        (["verify", "v1", "--all"], "name a release, or say --all", None),
        (["fetch"], "name releases, or say --last N", None),
        (["release", "a", "b", "c"], "one model and one version: a b c", None),
        (["path", "a", "b", "c"], "a release and one model: a b c", None),
    ],
)
def test_usage_errors(
    words: list[str], message: str, hint: str | None, repo: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be meant is told in two lines with exit code 2, and in the envelope with `--json`."""
    run = main(capsys, repo, *words)
    assert run.code == 2
    assert run.out == ""
    lines = error_lines(run)
    assert lines[0] == f"error: {message}"
    assert len(lines) <= 2
    if hint is not None:
        assert lines[1] == f"hint: {hint}"

    again = main(capsys, repo, *words, "--json")
    found = envelope(again)
    assert again.code == 2
    assert found["error"]["kind"] == "usage"
    assert found["error"]["message"] == message
    assert found["schema"] == f"modelctl.{words[0] if words[0] in COMMANDS else 'usage'}/1"


@pytest.mark.parametrize("words", [["show", "v9"], ["rollback", "v9"], ["list", "churn"], ["-C", "/nowhere", "status"]])
def test_what_does_not_exist_exits_1(
    words: list[str], repo: Repo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means nothing is exit code 1, and a hint says what there is."""
    monkeypatch.chdir(repo.path)
    code = modelctl(words)
    captured = capsys.readouterr()
    assert code == 1
    assert len(error_lines(Run(code, captured.out, captured.err))) == 2
    assert envelope_of(capsys, [*words, "--json"])["error"]["kind"] == "not-found"


def envelope_of(capsys: pytest.CaptureFixture[str], words: list[str]) -> dict[str, object]:
    code = modelctl(words)
    captured = capsys.readouterr()
    return envelope(Run(code, captured.out, captured.err))


def test_refused_exits_3(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that exist nowhere else are in the way of a rollback: exit code 3, and a line to paste."""
    repo.write("models/model.bin", "precious")
    run = main(capsys, repo, "rollback", "v1")
    assert run.code == 3
    assert "models/model.bin" in error_lines(run)[0]
    assert envelope(main(capsys, repo, "rollback", "v1", "--json"))["error"]["kind"] == "refused"


def test_verify_exits_4_for_corrupt_and_1_for_missing(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """A corrupt object is exit code 4, a missing one 1; the envelope has the result and the error."""
    md5 = main(capsys, repo, "show", "v1", "--json").result["pointers"][1]["md5"]
    path = repo.object(md5)
    path.chmod(0o644)
    path.write_bytes(b"something else")
    corrupt = main(capsys, repo, "verify", "v1", "--json")
    assert corrupt.code == 4
    found = envelope(corrupt)
    assert found["error"]["kind"] == "integrity"
    assert found["result"]["releases"][0]["corrupt"] == ["models/model.bin"]

    path.unlink()
    missing = main(capsys, repo, "verify", "v1")
    assert missing.code == 1
    assert "incomplete" in missing.out
    assert "missing models/model.bin" in missing.out
    assert missing.err.splitlines()[-1] == "hint: modelctl fetch model-v1"
    assert main(capsys, repo, "fetch", "v1").code == 0
    assert main(capsys, repo, "verify", "v1").code == 0


def test_fetch_that_is_not_whole_exits_1(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """When one release cannot be had the others come, and the exit code is 1."""
    md5 = main(capsys, repo, "show", "v1", "--json").result["pointers"][1]["md5"]
    repo.drop_cache()
    (repo.path.parent / "remote/files/md5" / md5[:2] / md5[2:]).unlink()
    run = main(capsys, repo, "fetch", "v1", "v2")
    assert run.code == 1
    assert re.search(r"^model-v2 +fetched \d+ objects", run.out, re.MULTILINE)
    assert "error: 1 of 2 not fetched: model-v1" in run.err


def test_follow_up_exits_7(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """Switched, and the commit of the pointers fails: exit code 7, with the result and what is pending."""
    repo.git("config", "commit.gpgSign", "true")
    repo.git("config", "gpg.program", "false")
    run = main(capsys, repo, "rollback", "v1", "--models-only", "--commit", "--json")
    assert run.code == 7
    found = envelope(run)
    assert found["error"]["kind"] == "follow-up"
    assert found["result"]["target"] == "v1"
    assert "error: the pointers are switched and not committed" in run.err


def test_locked_exits_75(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """While another modelctl is at work a switch is exit code 75."""
    state = repo.path / ".git/modelctl"
    state.mkdir(exist_ok=True)
    with FileLock(state / "lock"):
        run = main(capsys, repo, "rollback", "v1")
    assert run.code == 75
    assert len(error_lines(run)) == 2


def test_bug_exits_70(repo: Repo) -> None:
    """An exception that nobody expected is exit code 70, with a traceback and where to report it."""
    run = repo.modelctl("rollback", "v1", "--json", env={"MODELCTL_FAULT": "files.link:before:1:NO_SUCH"})
    assert run.code == 70
    assert "Traceback" in run.err
    assert "error: this is a bug in modelctl" in run.err
    assert run.err.splitlines()[-1].startswith("hint: report it")
    assert envelope(run)["error"]["kind"] == "bug"


@pytest.mark.parametrize(("code", "said"), [("ENOSPC", "no space left on device"), ("EACCES", "permission denied")])
def test_system_errors_are_one_clear_line(code: str, said: str, repo: Repo) -> None:
    """A full disk or a missing permission is exit code 1 and two lines, not a traceback; `-v` has it."""
    fault = {"MODELCTL_FAULT": f"files.link:before:1:{code}"}
    run = repo.modelctl("rollback", "v1", env=fault)
    assert run.code == 1
    assert error_lines(run)[0].startswith(f"error: {said}")
    assert "Traceback" in repo.modelctl("rollback", "v1", "-v", env=fault).err


@pytest.mark.parametrize("signal", ["INT", "TERM"])
def test_interrupted_exits_130(signal: str, repo: Repo) -> None:
    """Ctrl-C and SIGTERM end a rollback before its first step: nothing has changed, exit code 130."""
    before = (repo.head(), repo.branch(), repo.tree())
    run = repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": f"files.link:before:1:{signal}"})
    assert (run.code, run.out, run.err) == (130, "", "interrupted: nothing has changed\n")
    assert (repo.head(), repo.branch(), repo.tree()) == before
    again = repo.modelctl("rollback", "v1", "--json", env={"MODELCTL_FAULT": f"files.link:before:1:{signal}"})
    assert envelope(again)["error"]["kind"] == "interrupted"


def test_recovery_is_said(repo: Repo) -> None:
    """The command after a crash says how the interrupted switch ended; with `--json` in `messages`."""
    fault = {"MODELCTL_FAULT": "files.exchange:before:1:KILL"}
    assert repo.modelctl("rollback", "v1", env=fault).code == -9
    run = repo.modelctl("status")
    assert run.err.startswith("recovered: an interrupted rollback to model-v1 was undone")
    repo.modelctl("rollback", "v1", env=fault)
    found = envelope(repo.modelctl("status", "--json"))
    assert found["messages"] == ["an interrupted rollback to model-v1 was undone: model-v3 is live"]
    repo.modelctl("rollback", "v1", env=fault)
    assert repo.modelctl("status", "-q").err == ""


def test_recover(repo: Repo) -> None:
    """`recover` says what it did, and that there was nothing the second time."""
    repo.modelctl("rollback", "v1", env={"MODELCTL_FAULT": "files.exchange:before:1:KILL"})
    assert "was undone: model-v3 is live" in repo.modelctl("recover").out
    assert repo.modelctl("recover").out == "nothing to recover: no switch was interrupted\n"


def test_closed_pipe_is_silent(repo: Repo) -> None:
    """A reader that goes away is no error: `modelctl list | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "modelctl", "list"], cwd=repo.path, stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("words", "code"), [(["list"], 1), (["rollback", "v1"], 7)])
def test_result_that_cannot_be_written(words: list[str], code: int, repo: Repo) -> None:
    """When the result cannot be written that is said, and a switch that was done is not called undone."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "modelctl", *words],
            cwd=repo.path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == code
    assert done.stderr.startswith("error: done, but the result cannot be written: no space left on device")


def test_output_in_another_encoding(repo: Repo) -> None:
    """A terminal that cannot show arrows gets `->`, not an error after the work is done."""
    run = repo.modelctl("rollback", "v1", env={"PYTHONIOENCODING": "ascii"})
    assert run.code == 0
    assert "v3 -> v1" in run.out


def test_options_before_or_after_the_command(
    repo: Repo, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared options may stand on either side of the command's name."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ["-C", str(repo.path), "--json", "status"],
        ["status", "--repo", str(repo.path), "--json"],
        ["--json", "status", "-C", str(repo.path)],
    ):
        assert envelope_of(capsys, words)["schema"] == "modelctl.status/1"


def test_quiet_leaves_results_and_errors(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """`-q` silences progress, not results."""
    repo.drop_cache()
    told = main(capsys, repo, "fetch", "v1")
    assert "fetching" in told.err
    repo.drop_cache()
    quiet = main(capsys, repo, "fetch", "v1", "-q")
    assert quiet.err == ""
    assert quiet.out == told.out != ""
    assert main(capsys, repo, "show", "v9", "-q").err.startswith("error: ")


def test_verbose_tells_what_a_tool_said(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """With `-v` an error of another tool comes with what that tool printed."""
    repo.git("remote", "set-url", "origin", str(repo.path.parent / "gone.git"))
    short, long = main(capsys, repo, "release", "v4"), main(capsys, repo, "release", "v4", "-v")
    assert short.code == long.code == 1
    assert len(long.err) > len(short.err)
    assert repo.git("tag", "-l", "model-v4") == ""


@pytest.mark.parametrize(
    ("words", "tag"),
    [(["v4"], "model-v4"), (["4"], "model-v4"), (["model-v4"], "model-v4"), (["model-v1.0-rc1"], "model-v1.0-rc1")],
)
def test_names_of_a_new_release(words: list[str], tag: str, repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """A new release may be named as the tag will be."""
    run = main(capsys, repo, "release", *words, "-m", "trained on May")
    assert run.code == 0, run.err
    assert run.out.startswith(f"released {tag} at {repo.head()[:7]}")
    assert "trained on May" in repo.git("tag", "-l", "--format=%(contents)", tag)


def test_path_takes_words_in_either_order(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """`path v1 model` and `path model v1` are the same, and only the path is printed."""
    first, second = main(capsys, repo, "path", "v1", "model"), main(capsys, repo, "path", "model", "v1")
    assert first.out == second.out
    assert Path(first.out.rstrip("\n")).exists()
    assert first.out.count("\n") == 1


def test_rollback_says_what_happened(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """From where to where, which bytes, where HEAD is, and the way back."""
    lines = main(capsys, repo, "rollback", "v2", "--reason", "v3 is wrong").out.splitlines()
    assert re.fullmatch(r"rolled back model: v3 → v2 in \d+\.\d\d s", lines[0])
    assert re.fullmatch(r"  models/model\.bin +8\.0 kB  replaced", lines[2])
    commit = repo.git("rev-parse", "--short=7", "model-v2^{commit}")
    assert f"HEAD is at model-v2 ({commit}), detached; back with: modelctl rollback --undo" in lines
    assert "reason: v3 is wrong" in lines
    assert main(capsys, repo, "rollback", "v2").out == "already live: v2\n"
    status = main(capsys, repo, "status").out.splitlines()
    assert status == ["model: v2 is live, exactly", f"HEAD is at {commit}, detached, came from main"]
    undo = main(capsys, repo, "rollback", "--undo").out.splitlines()
    assert undo[0].startswith("took back model: v2 → v3 in ")
    assert any(line.startswith("HEAD is on main (") for line in undo)
    history = main(capsys, repo, "history").out.splitlines()
    assert re.search(r"undo +model-v2 +→ +model-v3 +done", history[1])
    assert re.search(r"rollback +model-v3 +→ +model-v2 +done .* v3 is wrong$", history[2])
    assert len(main(capsys, repo, "history", "--last", "1").out.splitlines()) == 2


def test_dry_run_changes_nothing_and_says_so(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says what would happen, what would be fetched, and leaves everything."""
    repo.drop_cache()
    before = (repo.head(), repo.tree())
    out = main(capsys, repo, "rollback", "v1", "--dry-run").out
    assert out.startswith("would roll back model: v3 → v1\n")
    assert "would be replaced" in out
    assert "would be fetched first" in out
    assert out.endswith("nothing was changed: this was a dry run\n")
    assert (repo.head(), repo.tree()) == before


def test_models_only_says_how_to_commit(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """A models-only rollback gives the line that commits the pointers; with `--commit` the commit."""
    out = main(capsys, repo, "rollback", "v1", "--models-only").out
    assert "commit the pointers with: git add -A -- models/dir.dvc models/model.bin.dvc && git commit" in out
    main(capsys, repo, "rollback", "--undo")
    out = main(capsys, repo, "rollback", "v2", "--models-only", "--commit").out
    assert f"pointers committed as {repo.head()[:7]}" in out


def test_init_makes_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`init` in a new folder makes everything and says what comes next; again, nothing."""
    assert modelctl(["-C", str(tmp_path), "init", "mine", "-q"]) == 0
    assert "next: dvc add" in capsys.readouterr().out
    assert modelctl(["init", str(tmp_path / "mine")]) == 0
    assert capsys.readouterr().out.startswith("nothing to make: ")


def test_list_without_releases_says_why(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """A repository without releases is no error, and the reason is given."""
    for tag in ("model-v1", "model-v2", "model-v3"):
        repo.git("tag", "-d", tag)
    run = main(capsys, repo, "list")
    assert run.code == 0
    assert "git fetch --tags" in run.out
    assert main(capsys, repo, "history").out == "no switch here yet\n"


def test_diff_names_files_with_verbose(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """Files inside a directory are counted, and named with `-v`."""
    assert "files: 3 changed" in main(capsys, repo, "diff", "v1", "v2").out
    assert "    models/dir/deep/c changed" in main(capsys, repo, "diff", "v1", "v2", "-v").out.splitlines()
    assert "nothing differs" in main(capsys, repo, "diff", "v2", "v2").out


def test_list_marks_what_is_live(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """The release that is live has its mark, which says when its bytes were changed."""
    assert re.search(r"^v3 .*\* live$", main(capsys, repo, "list").out, re.MULTILINE)
    repo.write("models/model.bin", "changed")
    assert re.search(r"^v3 .*\* live, modified$", main(capsys, repo, "list").out, re.MULTILINE)
    assert "but models/model.bin differs" in main(capsys, repo, "status").out
    assert re.search(r"^v1 .* cached +complete$", main(capsys, repo, "list", "--remote").out, re.MULTILINE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_error_on_a_full_disk_keeps_its_exit_code(repo: Repo) -> None:
    """An envelope that cannot be written hides neither the error nor its exit code."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "modelctl", "show", "v9", "--json"],
            cwd=repo.path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: model has no release v9")
