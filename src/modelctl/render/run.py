"""One run of a command: its options, what it says on the way, and how it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelctl.errors import ModelctlError
from modelctl.render.failure import Failure, describe_error
from modelctl.render.streams import say, write_result

if TYPE_CHECKING:
    from modelctl.render.terminal import Screen
    from modelctl.switching.clone import Clone

INTERRUPTED = 130
_SWITCHES = {"rollback", "deploy"}
_LEAVES = {
    "release": "not finished; run it again, which pushes nothing twice",
    "fetch": "what had arrived stays in the cache",
}
"""What an interrupted command leaves, where that is not simply what there was."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every command takes, before or after its name."""

    repo: Path = Path()
    json: bool = False
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A result, what renders it, and the error that it comes to although there is a result."""

    result: Any
    render: Callable[[Any, Screen], None]
    error: ModelctlError | None = None


class FollowUp(ModelctlError):
    """The switch is done and read back, and something after it is not."""

    exit_code = 7
    kind = "follow-up"


@dataclass(slots=True)
class Run:
    """A command under way. Each way in which it may end writes what is to be said and returns the exit code."""

    command: str
    options: Options
    messages: list[str] = field(default_factory=list)
    done: bool = False

    def open(self) -> contextlib.AbstractContextManager[Clone]:
        """Open the clone; an interrupted switch is resolved first, and said."""
        from modelctl.switching.opening import open_clone

        return open_clone(self.options.repo, say=self.recovered)

    def recovered(self, text: str) -> None:
        """Say how an interrupted switch ended."""
        self.messages.append(text)
        self.say(f"recovered: {text}")

    def say(self, text: str) -> None:
        """Tell progress."""
        if not self.options.quiet:
            say(text)

    def finish(self, done: Done) -> int:
        """End with a result, and with the error that it may come to."""
        self.done = True
        failure = describe_error(done.error) if done.error else None
        text = self._envelope(failure, result=done.result) if self.options.json else self._rendered(done)
        try:
            write_result(text)
        except OSError as exc:
            failure = describe_error(exc)
            message = f"done, but the result cannot be written: {failure.message}"
            code = FollowUp.exit_code if self.command in _SWITCHES else failure.exit_code
            return self._end(replace(failure, message=message, exit_code=code))
        return self._end(failure) if failure else 0

    def fail(self, failure: Failure) -> int:
        """End with an error."""
        self._write_failure(failure)
        return self._end(failure)

    def interrupted(self) -> int:
        """End after Ctrl-C or SIGTERM."""
        message = _LEAVES.get(self.command, "nothing has changed")
        if self.done:
            message = "the work was done, and its result may not be written"
        else:
            self._write_failure(Failure(kind="interrupted", message=message, hint="", exit_code=INTERRUPTED))
        say(f"interrupted: {message}")
        return INTERRUPTED

    def _end(self, failure: Failure) -> int:
        say(failure.lines(verbose=self.options.verbose))
        return failure.exit_code

    def _write_failure(self, failure: Failure) -> None:
        """The envelope of an error; the error itself is said and exits, even where this cannot be written."""
        if self.options.json:
            with contextlib.suppress(OSError):
                write_result(self._envelope(failure))

    def _envelope(self, failure: Failure | None, *, result: Any = None) -> str:
        from modelctl.render.json import format_envelope

        return format_envelope(self.command, result=result, failure=failure, messages=self.messages)

    def _rendered(self, done: Done) -> str:
        from modelctl.render.terminal import open_screen

        screen = open_screen(sys.stdout, verbose=self.options.verbose)
        done.render(done.result, screen)
        return screen.text
