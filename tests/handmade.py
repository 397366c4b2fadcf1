"""Pointers and objects written by hand: as `dvc add` leaves them, and as versions of DVC did that are gone.

`track` is `dvc add` and `dvc push` without starting DVC, which tests that need many releases can afford;
`test_real_pointers.py` holds it to what DVC itself writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

import modelctl
from modelctl.commands.list import ReleaseRow
from modelctl.commands.switch import SwitchResult
from tests.repos import Repo


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def text_md5(data: bytes) -> str:
    """The hash that DVC before 3.0 gave to a file, by DVC's own hand: text with its line ends normalised."""
    from dvc_data.hashfile.hash import fobj_md5

    return fobj_md5(io.BytesIO(data), name="md5-dos2unix")


def store(repo: Repo, data: bytes, oid: str, *, legacy: bool = False, root: str = "") -> str:
    """Put an object into the cache of a DVC root and onto the remote."""
    name = f"{oid[:2]}/{oid[2:]}" if legacy else f"files/md5/{oid[:2]}/{oid[2:]}"
    for folder in (repo.path / root / ".dvc/cache", repo.path.parent / "remote"):
        target = folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o444)
    return oid


def store_dir(repo: Repo, files: Mapping[str, bytes], *, legacy: bool = False, root: str = "") -> str:
    """Put a directory's manifest and its files there; returns the manifest's name."""
    hashed = text_md5 if legacy else md5
    entries = [
        {"md5": store(repo, data, hashed(data), legacy=legacy, root=root), "relpath": name}
        for name, data in sorted(files.items())
    ]
    manifest = json.dumps(entries, sort_keys=True).encode()
    return store(repo, manifest, f"{md5(manifest)}.dir", legacy=legacy, root=root)


def write_out(repo: Repo, path: str, data: bytes | Mapping[str, bytes]) -> None:
    """Have exactly `data`, a file or a directory, at `path`."""
    place = repo.path / path
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    if isinstance(data, bytes):
        repo.write(path, data)
    else:
        place.mkdir(parents=True)
        for name, content in data.items():
            repo.write(f"{path}/{name}", content)


def pointer_text(path: str, data: bytes | Mapping[str, bytes], oid: str, *, legacy: bool = False) -> str:
    """The text of a `.dvc` file."""
    size = len(data) if isinstance(data, bytes) else sum(map(len, data.values()))
    lines = ["outs:", f"- md5: {oid}", f"  size: {size}"]
    if not isinstance(data, bytes):
        lines.append(f"  nfiles: {len(data)}")
    if not legacy:
        lines.append("  hash: md5")
    return "\n".join([*lines, f"  path: {path}", ""])


def ignore(repo: Repo, path: str) -> None:
    """Add an out to the `.gitignore` beside it."""
    folder, _, name = path.rpartition("/")
    target = repo.path / folder / ".gitignore"
    lines = target.read_text().splitlines() if target.exists() else []
    if f"/{name}" not in lines:
        repo.write(str(Path(folder) / ".gitignore"), "\n".join([*lines, f"/{name}", ""]))


def track(
    repo: Repo,
    path: str,
    data: bytes | Mapping[str, bytes],
    *,
    legacy: bool = False,
    root: str = "",
    ignored: bool = True,
) -> str:
    """Have `data` at `path`, tracked by a `.dvc` file beside it, cached, pushed and git-ignored."""
    write_out(repo, path, data)
    if isinstance(data, bytes):
        oid = store(repo, data, (text_md5 if legacy else md5)(data), legacy=legacy, root=root)
    else:
        oid = store_dir(repo, data, legacy=legacy, root=root)
    repo.write(f"{path}.dvc", pointer_text(path.rpartition("/")[2], data, oid, legacy=legacy))
    if ignored:
        ignore(repo, path)
    return oid


def release(
    repo: Repo, tag: str, data: bytes | Mapping[str, bytes], path: str = "models/model.bin", *, day: int = 0
) -> str:
    """Track `data`, commit it and tag the commit."""
    track(repo, path, data)
    commit = repo.commit(tag, day)
    repo.tag(tag, day=day)
    return commit


Picture = tuple[str, str, dict[str, str], str]


def picture(repo: Repo) -> Picture:
    """What a switch there and back, or a refused one, must leave as it was."""
    files = {path: content for path, content in repo.tree().items() if "/.dvc/" not in path}
    return (repo.head(), repo.branch(), files, repo.git("status", "--porcelain"))


def assert_settled(repo: Repo, *targets: str, root: str = "") -> None:
    """Git and DVC see no difference, a commit of everything would be empty, and a checkout has nothing to do.

    `targets` limits what DVC is asked about, where it cannot be asked about all. DVC runs in this
    process: starting it several times a test would take most of the suite's time.
    """
    from dvc.repo import Repo as Dvc

    assert repo.git("status", "--porcelain", "--untracked-files=all") == ""
    repo.git("add", "-A")
    assert repo.git("diff", "--cached", "--name-only") == ""
    with contextlib.chdir(repo.path / root), Dvc() as dvc:
        assert dvc.status(targets=list(targets)) == {}
        before = repo.tree()
        done = dvc.checkout(targets=list(targets))
        assert {"added": [], "deleted": [], "modified": []}.items() <= done.items(), done
    assert repo.tree() == before


def there_and_back(repo: Repo, name: str, *targets: str, everything: bool = False, root: str = "") -> SwitchResult:
    """Roll back to a release and undo that: settled and exactly live there, in the end as in the beginning."""
    mine = modelctl.Repository(repo.path / root)
    before = picture(repo)
    done = mine.rollback(name, everything=everything)
    assert repo.head() == done.commit
    assert all(model.exact for model in mine.status().models)
    assert_settled(repo, *targets, root=root)
    mine.undo()
    assert picture(repo) == before
    return done


def row(repo: Repo, tag: str) -> ReleaseRow:
    """The row of a release in the list."""
    return next(row for row in modelctl.Repository(repo.path).releases() if row.tag == tag)


def refused(
    repo: Repo, error: type[modelctl.ModelctlError], name: str | None, **options: bool
) -> modelctl.ModelctlError:
    """Assert that a rollback raises `error` and leaves everything as it was; returns what it said."""
    before = picture(repo)
    mine = modelctl.Repository(repo.path)
    with pytest.raises(error) as caught:
        mine.rollback(name, **options)
    assert picture(repo) == before
    assert caught.value.hint, f"{caught.value.message}: no hint"
    return caught.value
