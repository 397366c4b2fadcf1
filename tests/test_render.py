"""What people see: aligned, whole, and harmless whatever a repository's strings hold."""

from __future__ import annotations

import io
import json
import re
from pathlib import PurePosixPath

import pytest

from modelctl.commands.diff import DiffResult, OutChange
from modelctl.commands.history import HistoryResult
from modelctl.commands.list import ListResult, ReleaseRow
from modelctl.commands.status import ModelStatus, StatusResult
from modelctl.commands.switch import OutRow, SwitchResult
from modelctl.domain.changes import FileChanges, ValueChange
from modelctl.errors import ModelctlError
from modelctl.render.difference import render_diff
from modelctl.render.failure import describe_error
from modelctl.render.figures import (
    format_difference,
    format_seconds,
    format_size,
    format_value,
    short_release,
)
from modelctl.render.json import as_plain, format_envelope
from modelctl.render.releases import render_list
from modelctl.render.switch import render_history, render_status, render_switch
from modelctl.render.terminal import Column, Screen, live, open_screen, wrong
from modelctl.switching.history import Entry, Position
from tests.repos import Repo, main

HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]x[/red]\u202egnp.exe\u200b\r\n\t:skull:\udc80\x9b31m"
SGR = re.compile(r"\x1b\[(?:0|1|2|31|32)m")
SCREENS = [Screen(), Screen(verbose=True), Screen(colour=True, width=40), Screen(colour=True, width=300)]


def row(version: str = "v5", **changes: object) -> ReleaseRow:
    values: dict[str, object] = {
        "model": "model",
        "version": version,
        "tag": f"model-{version}",
        "commit": "3b2f9c1" + "0" * 33,
        "date": "2026-03-01T10:00:00Z",
        "author": "Ann Author",
        "size": 329_720,
        "metrics": {"accuracy": 0.97123456},
        "bytes": "cached",
    }
    return ReleaseRow(**(values | changes))


def switched(**changes: object) -> SwitchResult:
    values: dict[str, object] = {
        "verb": "rollback",
        "mode": "checkout",
        "source": "model-v5",
        "target": "v4",
        "tag": "model-v4",
        "commit": "3b2f9c1" + "0" * 33,
        "branch": None,
        "models": ("model",),
        "outs": (OutRow(path="models/digits.skops", action="replace", size=329_720, md5="ab" * 16),),
        "files": (),
        "left": (),
        "notes": (),
        "reason": "",
        "changed": True,
        "dry_run": False,
        "seconds": 0.111,
    }
    return SwitchResult(**(values | changes))


def entry(**changes: object) -> Entry:
    values: dict[str, object] = {
        "id": "1",
        "verb": "rollback",
        "mode": "checkout",
        "started": "2026-03-01T10:00:00.000Z",
        "finished": "2026-03-01T10:00:01.000Z",
        "seconds": 0.5,
        "who": "Ann Author <ann@example.org>",
        "reason": "",
        "source": Position("a" * 40, None, "model-v5"),
        "target": Position("b" * 40, None, "model-v4"),
        "home": None,
        "models": ("model",),
        "everything": False,
        "outcome": "done",
    }
    return Entry(**(values | changes))


def status_result(*models: ModelStatus, **changes: object) -> StatusResult:
    values: dict[str, object] = {
        "head": "c" * 40,
        "branch": "main",
        "home": None,
        "models": models,
        "problems": (),
        "modified": (),
        "unfinished": None,
        "link_types": ("reflink", "copy"),
    }
    return StatusResult(**(values | changes))


def model_status(**changes: object) -> ModelStatus:
    values: dict[str, object] = {
        "model": "model",
        "release": "v4",
        "tag": "model-v4",
        "same_as": (),
        "exact": True,
        "missing": (),
        "changed": (),
        "extra": (),
    }
    return ModelStatus(**(values | changes))


def diff_result(**changes: object) -> DiffResult:
    values: dict[str, object] = {
        "old": "v4",
        "new": "v5",
        "models": (),
        "data": (),
        "metrics": (),
        "params": (),
        "dependencies": (),
        "unavailable": {"v4": (), "v5": ()},
        "problems": (),
    }
    return DiffResult(**(values | changes))


def harmless(text: str) -> bool:
    """Whether the text holds nothing but printable characters, line ends, and our own colours."""
    return all(char == "\n" or char.isprintable() for char in SGR.sub("", text))


def hostile_results() -> list[tuple[object, object]]:
    out = OutChange(
        model=HOSTILE,
        kind="changed",
        path=HOSTILE,
        old_path=HOSTILE,
        old_size=1,
        new_size=None,
        old_md5=HOSTILE,
        new_md5=None,
        directory=True,
        files=FileChanges((HOSTILE,), (), (HOSTILE,)),
    )
    change = ValueChange(HOSTILE, HOSTILE, [HOSTILE])
    return [
        (
            render_list,
            ListResult(
                (row(author=HOSTILE, tag=HOSTILE, version=HOSTILE, why=HOSTILE, bytes="not readable",
                     metrics={HOSTILE: HOSTILE}, unavailable=(HOSTILE,)),),
                (HOSTILE,),
            ),
        ),
        (
            render_switch,
            switched(reason=HOSTILE, left=(HOSTILE,), notes=(HOSTILE,), models=(HOSTILE,), source=HOSTILE,
                     target=HOSTILE, tag=HOSTILE, files=(HOSTILE,), set_aside=(HOSTILE,),
                     outs=(OutRow(path=HOSTILE, action="add", size=None, md5=HOSTILE),)),
        ),
        (render_switch, switched(mode="models-only", files=(HOSTILE,))),
        (
            render_status,
            status_result(model_status(model=HOSTILE, release=HOSTILE, exact=False, changed=(HOSTILE,)),
                          branch=HOSTILE, problems=(HOSTILE,), modified=(HOSTILE,), unfinished=HOSTILE),
        ),
        (
            render_diff,
            diff_result(old=HOSTILE, new=HOSTILE, models=(out,), data=(out,), metrics=(change,), params=(change,),
                        dependencies=(change,), unavailable={HOSTILE: (HOSTILE,)}, problems=(HOSTILE,)),
        ),
        (
            render_history,
            HistoryResult((entry(who=HOSTILE, reason=HOSTILE, verb=HOSTILE, source=Position("a", None, HOSTILE)),)),
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SCREENS)))
@pytest.mark.parametrize(("render", "result"), hostile_results())
def test_hostile_strings_are_harmless(render: object, result: object, number: int) -> None:
    """Escapes, control, bidirectional and zero-width characters and markup are shown, never obeyed."""
    template = SCREENS[number]
    screen = Screen(verbose=template.verbose, colour=template.colour, width=template.width)
    render(result, screen)
    assert harmless(screen.text), ascii(screen.text)
    flat = re.sub(r"\s", "", SGR.sub("", screen.text))
    if screen.width != 40:
        assert "[red]x[/red]" in flat
        assert ":skull:" in flat


def test_hostile_commit_message(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """What a commit, its author and a tag say is shown harmless by every command that shows it."""
    env = {"GIT_COMMITTER_NAME": "E\x1b[31mve\u202e", "GIT_AUTHOR_NAME": "E\x1b[31mve\u202e"}
    message = "first \x1b[2Jline\n\nsecond \u202eline [red]"
    repo.git("commit", "-q", "--allow-empty", "-m", message, env=env)
    repo.git("tag", "-a", "-m", message, "model-v9", env=env)
    for words in (["list"], ["show", "v9"], ["show", "v9", "-v"], ["status"], ["verify", "v9"]):
        run = main(capsys, repo, *words)
        assert run.code == 0
        assert harmless(run.out + run.err)
    assert "  first \\x1b[2Jline" in main(capsys, repo, "show", "v9").out


def test_errors_are_harmless_and_one_line(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that was typed, or read from a repository, cannot forge a second error line."""
    run = main(capsys, repo, "show", "v1\x1b[2J\nerror: forged")
    assert harmless(run.err)
    assert len(run.err.splitlines()) == 2
    assert describe_error(ModelctlError("a\nb", hint="c\nd")).lines(verbose=False) == "error: a b\nhint: c d"


def test_envelope_is_ascii_and_strict() -> None:
    """The envelope holds no control character and no number that JSON lacks, and gives strings back whole."""
    text = format_envelope("show", result={"a": HOSTILE + "\x7f", "b": [float("nan"), float("-inf")], "c": (1.5,)})
    assert text.isascii()
    assert all(char.isprintable() for char in text[:-1])
    result = json.loads(text, parse_constant=pytest.fail)["result"]
    assert result == {"a": HOSTILE + "\x7f", "b": ["nan", "-inf"], "c": [1.5]}


def test_dataclasses_become_objects() -> None:
    """Dataclasses keep their keys, paths become strings, tuples lists."""
    plain = as_plain({"change": ValueChange("x", PurePosixPath("/a"), None)})
    assert plain == {"change": {"name": "x", "old": "/a", "new": None}}


def test_list_is_a_plain_table_when_piped() -> None:
    """Without a terminal there is no colour and no box, and columns are aligned."""
    screen = Screen()
    rows = (row("v5", live="yes"), row("v4", bytes="not restorable", why="x is declared without a hash", size=None))
    render_list(ListResult(rows, ("accuracy",)), screen)
    assert screen.text.splitlines() == [
        "release  tag       date        author          size  accuracy  bytes",
        "v5       model-v5  2026-03-01  Ann Author  329.7 kB    0.9712  cached" + " " * 40 + "* live",
        "v4       model-v4  2026-03-01  Ann Author              0.9712  not restorable: x is declared without a hash",
    ]


def test_list_names_models_when_there_are_several() -> None:
    """With releases of several models a column says which."""
    screen = Screen()
    render_list(ListResult((row(model="churn"), row(model="fraud")), ()), screen)
    assert [line.split()[:2] for line in screen.text.splitlines()] == [
        ["model", "release"],
        ["churn", "v5"],
        ["fraud", "v5"],
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_versions_and_tags_are_never_cut(width: int) -> None:
    """However narrow the terminal, versions and tags stay whole; what is long goes on below."""
    screen = Screen(width=width, verbose=True)
    version = "v1.2.0-rc10.with.a.long.name"
    render_list(ListResult((row(version, author="A very long name of an author"),), ()), screen)
    words = screen.text.split()
    assert version in words
    assert f"model-{version}" in words
    assert "…" not in screen.text


def test_colour_says_live_and_wrong() -> None:
    """Green is what is live, red what is wrong, and nothing else has a colour."""
    screen = Screen(colour=True)
    screen.line(live("v4"), " and ", wrong("corrupt"))
    assert screen.text == "\x1b[32mv4\x1b[0m and \x1b[31mcorrupt\x1b[0m\n"
    plain = Screen()
    plain.line(live("v4"))
    assert plain.text == "v4\n"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour is for terminals without `NO_COLOR`."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not open_screen(Terminal(), verbose=False).colour
    monkeypatch.setenv("NO_COLOR", "")
    assert open_screen(Terminal(), verbose=False).colour
    assert not open_screen(io.StringIO(), verbose=False).colour
    monkeypatch.setenv("TERM", "dumb")
    assert not open_screen(Terminal(), verbose=False).colour


def test_wide_characters_are_aligned() -> None:
    """A character that takes two cells counts as two."""
    screen = Screen()
    screen.table([Column("a"), Column("b")], [["模型", "x"], ["model", "y"]])
    assert screen.text.splitlines()[1:] == ["模型   x", "model  y"]


def test_status_says_what_is_live() -> None:
    """Exactly a release, a release with differing files, or none."""
    screen = Screen()
    models = (
        model_status(),
        model_status(model="fraud", exact=False, changed=("models/x",), missing=("models/y",)),
        model_status(model="new", release=None, tag=None),
        model_status(model="many", exact=False, extra=("a", "b", "c", "d")),
    )
    changes = {"branch": None, "home": "main", "unfinished": "rollback to model-v4", "modified": ("m.dvc",)}
    render_status(status_result(*models, **changes), screen)
    assert screen.text.splitlines() == [
        "model: v4 is live, exactly",
        "fraud: v4, but models/y is missing, models/x differs",
        "new: of no release",
        "many: v4, but a is not part of it, b is not part of it, c is not part of it and 1 more",
        "HEAD is at ccccccc, detached, came from main",
        "not committed: m.dvc",
        "unfinished: rollback to model-v4; resolve it with: modelctl recover",
    ]


def test_switch_says_what_was_left_fetched_and_set_aside() -> None:
    """Everything that the person on call should know stands in the result."""
    screen = Screen()
    render_switch(
        switched(left=("data/raw",), notes=("a note",), fetched_objects=1, fetched_bytes=1500, set_aside=("/kept",)),
        screen,
    )
    assert screen.text.splitlines() == [
        "rolled back model: v5 → v4 in 0.11 s",
        "  models/digits.skops  329.7 kB  replaced",
        "HEAD is at model-v4 (3b2f9c1), detached; back with: modelctl rollback --undo",
        "fetched 1 object, 1.5 kB",
        "corrupt in the cache, set aside: /kept",
        "not switched: data/raw (use --all)",
        "note: a note",
    ]


def test_diff_shows_values_with_their_difference() -> None:
    """Metrics and params go from old to new with a signed difference; what is unavailable is said."""
    screen = Screen()
    render_diff(
        diff_result(
            metrics=(ValueChange("accuracy", 0.9801, 0.9712), ValueChange("new", None, 3)),
            dependencies=(ValueChange("data/raw", "a" * 32, None),),
            unavailable={"v4": ("metrics.json",), "v5": ()},
        ),
        screen,
    )
    assert screen.text.splitlines() == [
        "v4 → v5",
        "",
        "metrics",
        "  accuracy  0.9801  →  0.9712  -0.0089",
        "  new            -  →       3",
        "  unavailable: metrics.json at v4",
        "",
        "dependencies",
        "  data/raw  aaaaaaa  →  -",
    ]


def test_diff_says_when_nothing_is_known() -> None:
    """Metrics that cannot be read are never "nothing differs"."""
    screen = Screen()
    render_diff(diff_result(unavailable={"v4": ("metrics.json",), "v5": ()}), screen)
    assert "nothing differs" not in screen.text
    assert "unavailable: metrics.json at v4" in screen.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.97123456, "0.9712"),
        (12345.678, "12346"),
        (0.00001234567, "1.235e-05"),
        (3, "3"),
        (123456789, "123456789"),
        (True, "true"),
        (None, "-"),
        (float("nan"), "nan"),
        ([1, 2], "[1, 2]"),
        ("x" * 100, "x" * 56 + " ..."),
    ],
)
def test_values(value: object, shown: str) -> None:
    """Numbers have four significant digits; long texts are cut, and whole with `-v`."""
    assert format_value(value) == shown
    assert len(format_value("x" * 100, verbose=True)) == 100


def test_figures() -> None:
    """Differences have a sign, sizes a unit, tags their version."""
    assert [format_difference(d) for d in (0.5, -0.5, 0, None)] == ["+0.5", "-0.5", "0", ""]
    assert [format_size(size) for size in (329_720, 0, None)] == ["329.7 kB", "0 B", "?"]
    assert [format_seconds(seconds) for seconds in (0.111, 75.2)] == ["0.11 s", "75 s"]
    assert [short_release(word) for word in ("model-v5", "churn@v1.2.0", "2024-year", "v5")] == [
        "v5",
        "v1.2.0",
        "2024-year",
        "v5",
    ]
