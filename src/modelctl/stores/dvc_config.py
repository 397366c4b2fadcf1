"""DVC's configuration, read without DVC: where the cache is, how it links, which remotes there are.

Levels, later ones over earlier: system, global, `.dvc/config`, `.dvc/config.local`
(https://dvc.org/doc/user-guide/project-structure/configuration).
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelctl.errors import Integrity
from modelctl.stores.git import without_credentials

_REMOTE = re.compile(r"""['"]?\s*remote\s*"(?P<name>.+)"\s*['"]?""")
_LINKS = ("reflink", "hardlink", "symlink", "copy")
_PATHS = (
    "url", "gdrive_user_credentials_file", "gdrive_service_account_json_file_path", "credentialpath",
    "configpath", "keyfile", "cert_path", "key_path",
)  # fmt: skip
_VALUE = re.compile(r"""\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>[^#]*))""")
Sections = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class DvcConfig:
    """One DVC root's configuration as it stands today."""

    root: Path
    sections: Sections = field(repr=False)

    @property
    def cache_dir(self) -> Path:
        """The folder of the local cache."""
        configured = self.sections.get("cache", {}).get("dir")
        return Path(os.path.normpath(self.root / ".dvc" / (configured or "cache")))

    @property
    def link_types(self) -> tuple[str, ...]:
        """The link types to try, best first; `copy` always works."""
        wanted = self.sections.get("cache", {}).get("type", "reflink,copy")
        kinds = [kind.strip() for kind in wanted.split(",") if kind.strip() in _LINKS]
        return tuple(dict.fromkeys([*kinds, "copy"]))

    @property
    def default_remote(self) -> str | None:
        """The remote that commands use unless an out names another."""
        name = self.sections.get("core", {}).get("remote")
        return name.lower() if name else None

    @property
    def remotes(self) -> Mapping[str, dict[str, str]]:
        """The remotes by name, each with its settings."""
        return {m["name"]: values for name, values in self.sections.items() if (m := _REMOTE.fullmatch(name))}

    def remote_url(self, name: str | None) -> str | None:
        """The location of a remote, without credentials."""
        url = self.remote_values(name).get("url")
        return without_credentials(url) if url else None

    def remote_values(self, name: str | None) -> Mapping[str, str]:
        """The settings of a remote (without a name, of the default one); empty when there is none."""
        return self.remotes.get((name or self.default_remote or "").lower(), {})


def load_config(root: Path, *, committed: bytes | None = None) -> DvcConfig:
    """Return the configuration of the DVC root `root`.

    `committed` stands in for `.dvc/config` on disk: the one of the branch that was left, while HEAD is
    detached at a release.
    """
    own = root / ".dvc"
    merged: Sections = {}
    for path in (_system_folder() / "config", _global_folder() / "config"):
        _merge(merged, _sections(_read(path), str(path)), path.parent)
    text = _read(own / "config") if committed is None else committed
    _merge(merged, _sections(text, ".dvc/config"), own)
    _merge(merged, _sections(_read(own / "config.local"), ".dvc/config.local"), own)
    return DvcConfig(root, merged)


def parse_config(data: bytes, root: Path) -> DvcConfig:
    """Return what a committed `.dvc/config` of the DVC root `root` says by itself; raises `Integrity`."""
    merged: Sections = {}
    _merge(merged, _sections(data, ".dvc/config"), root / ".dvc")
    return DvcConfig(root, merged)


def _sections(data: bytes, name: str) -> Sections:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#", ";"), delimiters=("=",))
    try:
        parser.read_string(data.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise Integrity(f"{name} cannot be read: {str(exc).partition(chr(10))[0]}") from exc
    return {
        section.strip("'").lower(): {key: _plain(value) for key, value in parser.items(section)}
        for section in parser.sections()
    }


def _plain(value: str) -> str:
    """A value as ConfigObj, which DVC uses, reads it: quotes taken off, a comment after it too."""
    found = _VALUE.match(value)
    return (found["double"] or found["single"] or found["plain"] or "").strip() if found else ""


def _merge(into: Sections, level: Sections, folder: Path) -> None:
    """Lay `level` over what is there; relative locations count from the folder of their file."""
    for section, values in level.items():
        resolved = dict(values)
        paths = ("dir",) if section == "cache" else _PATHS if _REMOTE.fullmatch(section) else ()
        for key in paths:
            if key in resolved:
                resolved[key] = _resolve(resolved[key], folder)
        into.setdefault(section, {}).update(resolved)


def _resolve(location: str, folder: Path) -> str:
    """A location as its level means it: URLs and absolute paths stay, `~` is the home."""
    if "://" in location or re.match(r"[A-Za-z]:[\\/]", location):
        return location
    return os.path.normpath(folder / os.path.expanduser(location))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _system_folder() -> Path:
    import platformdirs

    return Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir("dvc", "iterative"))


def _global_folder() -> Path:
    import platformdirs

    return Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir("dvc", "iterative"))
