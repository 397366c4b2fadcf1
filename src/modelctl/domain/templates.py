"""`${...}`, `foreach` and `matrix` in `dvc.yaml`, resolved as DVC does.

Only what tells which stages there are and where their outs lie is resolved; what cannot be (a variable
that is not there) stays as it is written.
Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#templating and `dvc/parsing` of DVC 3.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelctl.domain.documents import load_values
from modelctl.errors import Integrity

Read = Callable[[str], bytes | None]
"""Returns the text of the file at a path, None when there is none."""

_EXPRESSION = re.compile(r"(?<!\\)\$\{(?P<inner>.*?)\}")
_WANTED = ("wdir", "outs", "metrics", "plots")
_MOST_NODES = 200_000
_MOST_STAGES = 20_000
_LONGEST = 4096


def no_file(_path: str) -> bytes | None:
    """A `Read` of a place without files."""
    return None


class UnresolvedError(LookupError):
    """A template names a variable that is not known here."""


def is_templated(data: bytes) -> bool:
    """Whether a `dvc.yaml` has anything to resolve."""
    return any(mark in data for mark in (b"${", b"foreach", b"matrix"))


def resolve_pipeline(data: bytes, path: str, read: Read) -> dict[str, Any]:
    """Return the `dvc.yaml` with every stage that DVC would make of it, every scalar as text.

    A `foreach` or `matrix` whose items are not known stays a group. Raises `Integrity` for a document
    that is no `dvc.yaml` or whose expansion is out of all proportion.
    """
    document = load_values(data, name=path)
    if not isinstance(document, dict):
        raise Integrity(f"{path} is not the mapping that DVC writes")
    _check_size(document, path)
    folder = posixpath.dirname(path)
    variables = _variables(document.get("vars"), folder, read, default=True)
    stages: dict[str, Any] = {}
    total = 0
    for name, definition in _items(document.get("stages")):
        for full, stage in _instances(name, definition, variables, folder, read):
            stages[full] = stage
            total += _check_size(stage, path)
            if total > _MOST_NODES:
                raise Integrity(f"{path} expands to more than {_MOST_NODES} values")
    rest = {key: _try_resolve(value, variables) for key, value in document.items() if key not in {"stages", "vars"}}
    _check_size(rest, path)
    resolved: dict[str, Any] = _as_text({**rest, "stages": stages})
    return resolved


def _instances(
    name: str, definition: Any, variables: Mapping[str, Any], folder: str, read: Read
) -> Iterator[tuple[str, Any]]:
    """The stages that one entry under `stages:` stands for."""
    if not isinstance(definition, dict):
        return
    try:
        if "foreach" in definition:
            template = definition.get("do")
            each = _each(resolve(definition["foreach"], variables))
        elif "matrix" in definition:
            template = {key: value for key, value in definition.items() if key != "matrix"}
            each = _combinations(resolve(definition["matrix"], variables))
        else:
            yield name, _stage(definition, variables, folder, read)
            return
    except UnresolvedError:
        yield name, {"group": True, "do": definition.get("do", definition)}
        return
    for key, own in each:
        yield f"{name}@{key}", _stage(template, {**variables, **own}, folder, read)


def _each(items: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(items, dict):
        return ((_text(key), {"item": value, "key": _text(key)}) for key, value in items.items())
    if not isinstance(items, list):
        raise UnresolvedError("foreach")
    if any(isinstance(item, dict | list) for item in items):
        return ((str(position), {"item": item}) for position, item in enumerate(items))
    return ((_text(item), {"item": item}) for item in items)


def _combinations(axes: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(axes, dict) or not all(isinstance(values, list) for values in axes.values()):
        raise UnresolvedError("matrix")
    return (_combination(dict(zip(axes, chosen, strict=True))) for chosen in _product(axes))


def _product(axes: dict[Any, list[Any]]) -> Iterator[tuple[tuple[int, Any], ...]]:
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > _MOST_STAGES:
        raise Integrity(f"a matrix in dvc.yaml has {count} combinations")
    return itertools.product(*(enumerate(values) for values in axes.values()))


def _combination(chosen: dict[Any, tuple[int, Any]]) -> tuple[str, dict[str, Any]]:
    parts = [
        f"{axis}{position}" if isinstance(value, dict | list) else _text(value)
        for axis, (position, value) in chosen.items()
    ]
    key = "-".join(parts)
    return key, {"key": key, "item": {axis: value for axis, (_, value) in chosen.items()}}


def _stage(definition: Any, variables: Mapping[str, Any], folder: str, read: Read) -> Any:
    """What is wanted of one stage, resolved with its own `vars` too."""
    if not isinstance(definition, dict):
        return {}
    wdir = _try_resolve(definition.get("wdir"), variables)
    if own := definition.get("vars"):
        base = posixpath.join(folder, wdir) if isinstance(wdir, str) else folder
        variables = {**variables, **_variables(own, base, read, default=False)}
    return {key: _try_resolve(definition[key], variables) for key in _WANTED if key in definition}


def _variables(entries: Any, folder: str, read: Read, *, default: bool) -> dict[str, Any]:
    """What `vars` and `params.yaml` define; a file that is not there defines nothing."""
    found: dict[str, Any] = {}
    wanted = [*(["params.yaml"] if default else []), *(entries if isinstance(entries, list) else [])]
    for entry in wanted:
        if isinstance(entry, dict):
            _merge(found, entry)
        elif isinstance(entry, str):
            name, _, keys = entry.partition(":")
            values = _load(posixpath.normpath(posixpath.join(folder, name)), read)
            chosen = [key for key in keys.split(",") if key]
            _merge(found, {key: values[key] for key in chosen if key in values} if chosen else values)
    return found


def _load(path: str, read: Read) -> dict[str, Any]:
    data = read(path)
    if data is None:
        return {}
    try:
        values = load_values(data, name=path)
    except Integrity:
        return {}
    if not isinstance(values, dict):
        return {}
    _check_size(values, path)
    return values


def _merge(into: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            into[key] = {**there}
            _merge(into[key], value)
        else:
            into[key] = value


def resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    """Return `value` with every `${...}` in it replaced; raises `UnresolvedError`."""
    if isinstance(value, dict):
        return {_key(key, variables): resolve(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, variables) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _EXPRESSION.fullmatch(value):
        return _select(whole["inner"], variables)
    return _EXPRESSION.sub(lambda match: _plain(match["inner"], variables), value).replace(r"\${", "${")


def _try_resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    """`resolve`, leaf by leaf: a text with an unknown variable stays as it is."""
    if isinstance(value, dict):
        return {_text(_try_resolve(key, variables)): _try_resolve(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_try_resolve(item, variables) for item in value]
    try:
        return resolve(value, variables)
    except UnresolvedError:
        return value


def _select(expression: str, variables: Mapping[str, Any]) -> Any:
    found: Any = variables
    for part in expression.strip().replace("[", ".").replace("]", "").split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and len(part) < 9 and int(part) < len(found):
            found = found[int(part)]
        else:
            raise UnresolvedError(expression)
    return found


def _plain(expression: str, variables: Mapping[str, Any]) -> str:
    value = _select(expression, variables)
    if isinstance(value, dict | list) or len(text := _text(value)) > _LONGEST:
        raise UnresolvedError(expression)
    return text


def _key(key: Any, variables: Mapping[str, Any]) -> Any:
    return _text(resolve(key, variables)) if isinstance(key, str) else key


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_text(value: Any) -> Any:
    """The document as a loader of plain text would have it."""
    if isinstance(value, dict):
        return {_text(key): _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return "" if value is None else _text(value)


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(_text(key), item) for key, item in value.items()] if isinstance(value, dict) else []


def _check_size(document: Any, name: str) -> int:
    """Count the values of a document; refuse one that aliases blow up before anything walks through all of it."""
    count, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _MOST_NODES:
            raise Integrity(f"{name} holds more than {_MOST_NODES} values")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return count
