"""The command line: parse, call one command, render its result, exit with its code.

`main()` is the only error funnel. A command here is a function that Typer fills with words and that
returns the work to be done; the work imports what it needs, so that `--version` and completion stay instant.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from modelctl import __version__
from modelctl.errors import Integrity, ModelctlError, Unavailable, Usage
from modelctl.render.failure import Failure, describe_error, lowered
from modelctl.render.run import INTERRUPTED, Done, FollowUp, Options, Run
from modelctl.render.streams import prepare_output

if TYPE_CHECKING:
    from modelctl.commands.fetch import FetchResult
    from modelctl.commands.verify import VerifyResult
    from modelctl.switching.plan import Request

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Every usage error of Typer's: it exports this base by no name of its own."""

Work = Callable[[Run], Done]


@dataclass(frozen=True, slots=True)
class Call:
    """A command line that was understood."""

    command: str
    options: Options
    work: Work


def main(argv: list[str] | None = None) -> int:
    """Run a command line (without the program's name) and return its exit code; raises nothing."""
    words = list(sys.argv[1:] if argv is None else argv)
    run = _unparsed(words)
    try:
        with _sigterm_as_interrupt():
            prepare_output()
            call = app(args=words, prog_name="modelctl", standalone_mode=False)
            if not isinstance(call, Call):
                return run.interrupted() if call == INTERRUPTED else int(call or 0)
            run = Run(call.command, call.options)
            return run.finish(call.work(run))
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except KeyboardInterrupt:
        return run.interrupted()
    except _UsageError as exc:
        return run.fail(_describe_usage(exc))
    except Exception as exc:  # noqa: BLE001  # the one funnel
        return run.fail(describe_error(exc))


def _unparsed(words: list[str]) -> Run:
    """What can be told of a command line before, or without, understanding it."""
    command = next((word for word in words if word in COMMANDS), "usage")
    return Run(command, Options(json="--json" in words, verbose=bool({"-v", "--verbose"} & set(words))))


def _describe_usage(exc: Any) -> Failure:
    """A line that Typer did not understand; what it suggests is the hint."""
    message, _, suggestion = str(exc.format_message()).partition(". ")
    context = getattr(exc, "ctx", None)
    hint = lowered(suggestion) or f"{context.command_path if context else 'modelctl'} --help"
    return Failure(kind=Usage.kind, message=lowered(message), hint=hint, exit_code=Usage.exit_code)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C is taken."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # Not the main thread: signals are another's business.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


app = typer.Typer(
    name="modelctl",
    help="Releases, review and rollback of machine-learning models in Git + DVC repositories.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: list[str] = []


def _command(*examples: str) -> Callable[[Callable[..., Work]], Callable[..., Work]]:
    """Make a function a command of its name, with examples in its help and the options of `_shared`."""

    def register(function: Callable[..., Work]) -> Callable[..., Work]:
        name = function.__name__.rstrip("_")

        @functools.wraps(function)
        def understand(ctx: typer.Context, **values: Any) -> Call:
            shared = {key: values.pop(key) for key in _SHARED}
            return Call(name, _merge(ctx.obj, **shared), function(**values))

        _give_signature(understand, list(inspect.signature(function, eval_str=True).parameters.values()))
        lines = "\n".join(f"  {example}" for example in examples)
        short = inspect.getdoc(function) or ""
        app.command(name, short_help=short.partition(";")[0].rstrip("."), epilog=f"\b\nExample:\n{lines}")(understand)
        COMMANDS.append(name)
        return function

    return register


def _give_signature(target: Callable[..., Any], own: list[inspect.Parameter]) -> None:
    """Have Typer see the context, the `own` parameters and the shared ones."""
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *own, *_SHARED.values()]
    target.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    target.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _shared(
    repo: Annotated[
        Path | None, typer.Option("--repo", "-C", metavar="PATH", help="Work in the repository at PATH.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result and errors, no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more.")] = False,
) -> Options:
    """The options that every command takes."""
    return Options(repo or Path(), json, quiet, verbose)


_SHARED = dict(inspect.signature(_shared, eval_str=True).parameters)


def _merge(before: Options, *, repo: Path | None, json: bool, quiet: bool, verbose: bool) -> Options:
    """The options as given before the command's name and after it; the later path wins."""
    return Options(repo or before.repo, json or before.json, quiet or before.quiet, verbose or before.verbose)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelctl {__version__}")
        raise typer.Exit


def _start(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001  # its callback has answered
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version."),
    ] = False,
    **shared: Any,
) -> None:
    ctx.obj = _shared(**shared)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


_give_signature(_start, [inspect.signature(_start, eval_str=True).parameters["version"]])
app.callback(invoke_without_command=True)(_start)


def _complete_release(ctx: typer.Context, incomplete: str) -> list[str]:
    from modelctl.completion import suggest_releases

    return suggest_releases(_folder(ctx), ctx.params.get("words") or (), incomplete)


def _complete_model(ctx: typer.Context) -> list[str]:
    from modelctl.completion import suggest_models

    return suggest_models(_folder(ctx))


def _folder(ctx: typer.Context) -> Path:
    """The repository that a half-typed line is about."""
    before = ctx.parent.params.get("repo") if ctx.parent else None
    return Path(ctx.params.get("repo") or before or ".")


_A_RELEASE = "A release: v4, churn v4, churn-v4, or a tag in full."
ReleaseWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RELEASE]...",
        help=_A_RELEASE,
        show_default=False,
        autocompletion=_complete_release,
    ),
]
OneRelease = Annotated[
    list[str],
    typer.Argument(
        metavar="RELEASE...",
        help=_A_RELEASE,
        autocompletion=_complete_release,
    ),
]
ModelWord = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="Only this model.", autocompletion=_complete_model),
]
OnRemote = Annotated[bool, typer.Option("--remote", help="Ask the DVC remote too.")]
Last = Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="The newest N.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the history.")]
Everything = Annotated[bool, typer.Option("--all", help="Every DVC out of the commit, data too.")]
ModelsOnly = Annotated[
    bool, typer.Option("--models-only", help="Leave HEAD and code; restore the models' pointers and bytes.")
]
Commit = Annotated[bool, typer.Option("--commit", help="With --models-only: commit the pointers.")]
AcceptMovedTag = Annotated[
    bool, typer.Option("--accept-moved-tag", help="Take a tag that was moved since it was last used here.")
]
Wait = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, show_default=False, help="Wait for another modelctl to end."),
]


@_command("modelctl list", "modelctl list churn --remote")
def list_(model: ModelWord = None, remote: OnRemote = False) -> Work:
    """List the releases, newest version first."""

    def work(run: Run) -> Done:
        from modelctl.commands.list import list_releases
        from modelctl.render.releases import render_list

        with run.open() as clone:
            return Done(list_releases(clone, model=model, remote=remote), render_list)

    return work


@_command("modelctl show v4", "modelctl show churn-v4 --verbose")
def show(words: OneRelease) -> Work:
    """Show one release: commit, outs, stage, metrics and params."""

    def work(run: Run) -> Done:
        from modelctl.commands.show import show
        from modelctl.render.releases import render_show

        with run.open() as clone:
            return Done(show(clone, words=_release_words(words)), render_show)

    return work


@_command("modelctl status", "modelctl status --json")
def status() -> Work:
    """Say which release is live here; exactly, or what differs."""

    def work(run: Run) -> Done:
        from modelctl.commands.status import status
        from modelctl.render.switch import render_status

        with run.open() as clone:
            return Done(status(clone), render_status)

    return work


@_command("modelctl diff v4 v5", "modelctl diff churn-v4")
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A release.", autocompletion=_complete_release)],
    new: Annotated[
        str | None,
        typer.Argument(metavar="NEW", help="Another one; else the workspace.", autocompletion=_complete_release),
    ] = None,
) -> Work:
    """Compare two releases, or one with the workspace."""

    def work(run: Run) -> Done:
        from modelctl.commands.diff import diff
        from modelctl.render.difference import render_diff

        with run.open() as clone:
            return Done(diff(clone, old=(old,), new=(new,) if new else None), render_diff)

    return work


@_command('modelctl rollback v4 --reason "v5 mistakes 3 for 8"', "modelctl rollback --undo")
def rollback(
    words: ReleaseWords = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last switch back, the branch too.")] = False,
    reason: Reason = "",
    everything: Everything = False,
    models_only: ModelsOnly = False,
    commit: Commit = False,
    accept_moved_tag: AcceptMovedTag = False,
    dry_run: DryRun = False,
    wait: Wait = 0.0,
) -> Work:
    """Make an earlier release live, completely or not at all; without a name, the one before."""
    from modelctl.switching.plan import Request

    request = Request(
        verb="undo" if undo else "rollback",
        words=_release_words(words),
        reason=reason,
        everything=everything,
        models_only=models_only,
        commit=commit,
        accept_moved_tag=accept_moved_tag,
    )
    return functools.partial(_switch, request, dry_run, wait)


@_command("modelctl deploy v5", "modelctl deploy churn v5 --models-only --commit")
def deploy(
    words: OneRelease,
    reason: Reason = "",
    everything: Everything = False,
    models_only: ModelsOnly = False,
    commit: Commit = False,
    accept_moved_tag: AcceptMovedTag = False,
    dry_run: DryRun = False,
    wait: Wait = 0.0,
) -> Work:
    """Make a release live, completely or not at all."""
    from modelctl.switching.plan import Request

    request = Request(
        verb="deploy",
        words=_release_words(words),
        reason=reason,
        everything=everything,
        models_only=models_only,
        commit=commit,
        accept_moved_tag=accept_moved_tag,
    )
    return functools.partial(_switch, request, dry_run, wait)


@_command("modelctl history", "modelctl history --last 5")
def history(last: Last = None) -> Work:
    """Show every switch here, newest first: who, from, to, why."""

    def work(run: Run) -> Done:
        from modelctl.commands.history import history
        from modelctl.render.switch import render_history

        with run.open() as clone:
            return Done(history(clone, last=last), render_history)

    return work


@_command('modelctl release v5 -m "trained on May"', "modelctl release churn v5")
def release(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[MODEL] VERSION", help="The version, such as v5 or v1.2.0; churn-v5 too."),
    ],
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What the tag says.")] = "",
) -> Work:
    """Push the committed model's objects, then make and push its tag."""

    def work(run: Run) -> Done:
        from modelctl.commands.release import release
        from modelctl.render.releases import render_release

        model, version = _model_and_version(words)
        with run.open() as clone:
            made = release(clone, version=version, model=model, message=message, progress=run.say)
        return Done(made, render_release)

    return work


@_command("modelctl fetch --last 3", "modelctl fetch v4 v5")
def fetch(words: ReleaseWords = None, last: Last = None) -> Work:
    """Bring releases into the cache, so that a rollback needs no network; name them or say --last."""

    def work(run: Run) -> Done:
        from modelctl.commands.fetch import fetch
        from modelctl.render.releases import render_fetch

        with run.open() as clone:
            found = fetch(clone, releases=tuple(words or ()), last=last, progress=run.say)
        return Done(found, render_fetch, _fetch_error(found))

    return work


@_command("modelctl verify", "modelctl verify --all --remote")
def verify(
    words: ReleaseWords = None,
    everything: Annotated[bool, typer.Option("--all", help="Every release.")] = False,
    remote: Annotated[bool, typer.Option("--remote", help="Look on the DVC remote instead of the cache.")] = False,
) -> Work:
    """Hash a release's bytes and compare them with its pointers; without a name, what is live."""

    def work(run: Run) -> Done:
        from modelctl.commands.verify import verify
        from modelctl.render.releases import render_verify

        if words and everything:
            raise Usage("name a release, or say --all", hint="modelctl verify --all")
        named = _release_words(words)
        with run.open() as clone:
            found = verify(clone, words=named, everything=everything, remote=remote, progress=run.say)
        return Done(found, render_verify, _verify_error(found))

    return work


@_command("modelctl path v4", 'cp -r "$(modelctl path churn-v4)" /srv/churn')
def path(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RELEASE [MODEL]",
            help="A release, and one of its models where it has several.",
            autocompletion=_complete_release,
        ),
    ],
) -> Work:
    """Print the path of a read-only copy of a release's model."""

    def work(run: Run) -> Done:
        from modelctl.commands.path import path
        from modelctl.render.releases import render_path

        named, model = _release_and_model(words)
        with run.open() as clone:
            return Done(path(clone, words=named, model=model, progress=run.say), render_path)

    return work


@_command("modelctl recover")
def recover(wait: Wait = 0.0) -> Work:
    """Resolve an interrupted switch, as every command does first."""

    def work(run: Run) -> Done:
        from modelctl.commands.recover import recover
        from modelctl.render.switch import render_recover
        from modelctl.switching.clone import Clone

        with Clone(run.options.repo) as clone:
            return Done(recover(clone, wait=wait), render_recover)

    return work


@_command("modelctl init", "modelctl init my-models")
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where.", show_default=False)] = Path(),
) -> Work:
    """Make a folder ready for releases; nothing is overwritten."""

    def work(run: Run) -> Done:
        from modelctl.commands.init import init
        from modelctl.render.switch import render_init

        return Done(init(run.options.repo / folder), render_init)

    return work


def _switch(request: Request, dry_run: bool, wait: float, run: Run) -> Done:
    from modelctl.commands.switch import run_switch
    from modelctl.render.switch import render_switch

    with run.open() as clone:
        done = run_switch(clone, request=request, dry_run=dry_run, wait=wait, progress=run.say)
    error = FollowUp(done.follow_up, hint="modelctl status") if done.follow_up else None
    return Done(done, render_switch, error)


def _release_words(words: list[str] | None) -> tuple[str, ...]:
    """One word or two for a release."""
    found = tuple(words or ())
    if len(found) > 2:
        raise Usage(f"a release is one word or two: {' '.join(found)}", hint="modelctl rollback churn v4")
    return found


def _model_and_version(words: list[str]) -> tuple[str | None, str]:
    """`v5`, `churn v5` or `churn-v5` as a model (None: the only one) and a version."""
    from modelctl.domain.tags import parse_tag

    if len(words) > 2:
        raise Usage(f"one model and one version: {' '.join(words)}", hint="modelctl release churn v5")
    if len(words) == 2:
        return words[0], words[1]
    name = parse_tag(words[0])
    if name is None or name.model is None:
        return None, words[0]
    return f"{name.directory}/{name.model}" if name.directory else name.model, str(name.version)


def _release_and_model(words: list[str]) -> tuple[tuple[str, ...], str | None]:
    """`v4`, `v4 churn` or, as everywhere else, `churn v4`."""
    from modelctl.domain.versions import parse_version

    if len(words) > 2:
        raise Usage(f"a release and one model: {' '.join(words)}", hint="modelctl path v4 churn")
    if len(words) == 2 and not parse_version(words[1]):
        return (words[0],), words[1]
    return tuple(words), None


def _fetch_error(found: FetchResult) -> ModelctlError | None:
    bad = [row for row in found.releases if row.error]
    if not bad:
        return None
    return Unavailable(
        f"{len(bad)} of {len(found.releases)} not fetched: {', '.join(row.tag for row in bad)}",
        hint=f"modelctl verify --remote {bad[0].tag}",
    )


def _verify_error(found: VerifyResult) -> ModelctlError | None:
    if corrupt := [row.tag for row in found.releases if row.verdict == "corrupt"]:
        hint = "dvc push from a clone that has it whole" if found.where == "remote" else _refetch(corrupt)
        return Integrity(f"corrupt: {', '.join(corrupt)}", hint=hint)
    if lost := [row.tag for row in found.releases if row.verdict != "ok"]:
        hint = _refetch(lost) if found.where == "cache" else "dvc push from a clone that has it"
        return Unavailable(f"cannot be restored from the {found.where}: {', '.join(lost)}", hint=hint)
    return None


def _refetch(tags: list[str]) -> str:
    return f"modelctl fetch {tags[0]}"
