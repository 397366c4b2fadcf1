"""Speaking to remotes by any transport: to whom, how long one waits for them, what is said of failures."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from modelctl.errors import ModelctlError, Unavailable
from modelctl.stores.git import without_credentials

PATIENCE = 30.0
"""The seconds that a remote has to say anything at all. Transports wait for minutes, some for half an hour."""

_LOCATION = ("url", "endpointurl", "region")
_EXTRAS = ("azure", "gs", "s3", "ssh")
_SECRET = re.compile(r"pass|secret|token|connection_string|auth_header|(access|account|customer)_key")


def settings_for(location: Mapping[str, str], remotes: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """The settings for an older commit's location: today's, if today's configuration knows the server."""
    wanted = {key: location[key] for key in _LOCATION if key in location}
    wanted["url"] = re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1@", wanted["url"])
    for values in remotes.values():
        if _server(values) == _server(wanted) is not None:
            return {**values, **wanted}
    return wanted


def _server(values: Mapping[str, str]) -> tuple[str, str] | None:
    """Who is spoken to: for a bucket store its endpoint, else the host; None for a local folder."""
    try:
        parts = urlsplit(values.get("url", ""))
        host = f"{parts.hostname}:{values.get('port') or parts.port or ''}"
    except ValueError:
        return None
    if parts.scheme in {"", "remote"}:
        return None
    return parts.scheme, values.get("endpointurl", "") if parts.scheme in {"s3", "gs", "azure", "oss"} else host


def ask(question: Callable[[], Any]) -> Any:
    """What `question` returns or raises; a `TimeoutError` when it does neither within `PATIENCE`."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(question())
        except BaseException as exc:  # noqa: BLE001  # handed to the thread that asked
            answers.append(exc)

    thread = threading.Thread(target=run, daemon=True, name="modelctl-remote")
    thread.start()
    thread.join(PATIENCE)
    return answers[0] if answers else TimeoutError(f"no answer within {PATIENCE:.0f} seconds")


@contextlib.contextmanager
def translated(url: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn whatever DVC or a transport of it raises into our errors."""
    try:
        yield
    except (ModelctlError, MemoryError):
        raise
    except Exception as exc:
        raise unavailable(url, exc, secrets) from exc


def unavailable(url: str, exc: BaseException, secrets: tuple[str, ...]) -> Unavailable:
    """What to raise for an exception of DVC's, a transport's or an absent plug-in's."""
    kind = type(exc).__name__
    if kind in {"RemoteMissingDepsError", "ModuleNotFoundError", "ImportError"}:
        scheme = url.partition("://")[0]
        package = f"modelctl[{scheme}]" if scheme in _EXTRAS else f"dvc[{scheme.removesuffix('s')}]"
        return Unavailable(f"{url} needs {package}", hint=f'pip install "{package}"')
    if kind == "LockError":
        return Unavailable("dvc is at work in this repository", hint="try again when it is done")
    if kind == "ConfigError":
        return Unavailable(
            f"DVC refuses its configuration: {reason(exc, secrets)}", hint="dvc config --list --show-origin"
        )
    return Unavailable(
        f"the DVC remote {url} failed: {reason(exc, secrets)}", hint="check the network and the credentials"
    )


def reason(exc: BaseException, secrets: tuple[str, ...]) -> str:
    """The shortest honest account of an exception: its innermost message, without credentials."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    text = without_credentials(str(exc)) or type(exc).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return re.sub(r"\s+", " ", text)[:300]


def is_secret(key: str) -> bool:
    """Whether a remote's setting of that name must never be printed."""
    return _SECRET.search(key) is not None
