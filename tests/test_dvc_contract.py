"""What modelctl relies on in DVC beyond its documented interface; a new DVC that breaks it fails here first."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.config import Config
from dvc.repo import Repo as DvcRepo
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs import localfs

from modelctl.domain.pointers import Digest
from modelctl.stores import dvc, dvc_state
from modelctl.stores.dvc_config import load_config
from modelctl.stores.files import hash_file
from modelctl.stores.known import KnownHashes
from modelctl.stores.objects import list_files, manifest_bytes, manifest_bytes_md5
from tests.repos import Repo

OID = hashlib.md5(b"model 1\n" * 1000).hexdigest()


@pytest.fixture
def opened(repo: Repo) -> Iterator[Any]:
    """DVC's own object for the clone of three releases."""
    with DvcRepo(str(repo.path)) as found:
        yield found


OID_3 = hashlib.md5(b"model 3\n" * 1000).hexdigest()


# Stores of objects.


@pytest.mark.parametrize(("name", "below"), [("md5", "files/md5/"), ("md5-dos2unix", "")])
def test_a_remote_store_is_had_by_generation(opened: Any, repo: Repo, name: str, below: str) -> None:
    """`get_remote_odb` gives the store of either generation, and `oid_to_path` where an object lies in it."""
    store = opened.cloud.get_remote_odb("store", hash_name=name)
    expected = repo.path.parent / "remote" / f"{below}{OID[:2]}/{OID[2:]}"
    assert Path(store.oid_to_path(OID)) == expected


@pytest.mark.parametrize(("attribute", "below"), [("local", "files/md5/"), ("legacy", "")])
def test_the_cache_has_two_generations(opened: Any, repo: Repo, attribute: str, below: str) -> None:
    """`cache.local` and `cache.legacy` are the two layouts of the same folder."""
    store = getattr(opened.cache, attribute)
    assert Path(store.oid_to_path(OID)) == repo.path / f".dvc/cache/{below}{OID[:2]}/{OID[2:]}"


def test_add_takes_what_we_pass(opened: Any, repo: Repo) -> None:
    """`add` brings objects from another store by name and reports the absent ones one by one, by name."""
    assert set(inspect.signature(HashFileDB.add).parameters) >= {"path", "fs", "oid", "hardlink", "on_error"}
    repo.object(OID).unlink()
    cache, remote = opened.cache.local, opened.cloud.get_remote_odb("store")
    failed: dict[str, BaseException] = {}
    oids = [OID, "0" * 32]
    cache.add(
        [remote.oid_to_path(oid) for oid in oids],
        remote.fs,
        oids,
        on_error=failed.__setitem__,
        verify=False,
        hardlink=False,
        check_exists=False,
        batch_size=cache.fs.jobs,
    )
    assert repo.object(OID).read_bytes() == b"model 1\n" * 1000
    assert repo.object(OID).stat().st_nlink == 1
    assert repo.object(OID).stat().st_mode & 0o777 == 0o444
    assert list(failed) == ["0" * 32]
    assert isinstance(failed["0" * 32], FileNotFoundError)


def test_info_answers_in_batches(opened: Any) -> None:
    """`fs.info` of many paths gives for each its size or the exception, in order."""
    store = opened.cloud.get_remote_odb("store")
    paths = [store.oid_to_path(oid) for oid in (OID, "0" * 32)]
    found, absent = store.fs.info(paths, batch_size=store.fs.jobs, return_exceptions=True)
    assert found["size"] == 8000
    assert isinstance(absent, FileNotFoundError)


def test_local_stores_say_so(opened: Any) -> None:
    """The protocol of a folder is `local`: only there can we see ourselves whether it exists."""
    assert opened.cloud.get_remote_odb("store").fs.protocol == "local"


# Configuration.


def test_ours_is_the_only_configuration(repo: Repo) -> None:
    """The repository object that we open has the configuration that it is given, and nothing of the files'."""
    today = load_config(repo.path)
    repo.write(
        ".dvc/config", "[core]\n    remote = other\n    hardlink_lock = true\n['remote \"store\"']\n    url = x\n"
    )
    repo.write(".dvc/config.local", "['remote \"store\"']\n    jobs = 3\n")
    with dvc.open_remote(today) as remote:
        opened = remote._repo
        assert opened.config["core"]["remote"] == "store"
        assert opened.config["core"]["hardlink_lock"] is False
        assert dict(opened.config["remote"]["store"])["url"] == str(repo.path.parent / "remote")
        assert "jobs" not in opened.config["remote"]["store"]
        assert Path(opened.cache.local.path) == repo.path / ".dvc/cache/files/md5"
        assert opened.config is opened.config


CONFIGURATION = """\
[core]
    remote = Store   ; not a comment to DVC?
    autostage = true
['remote "Store"']
    url = ../../elsewhere # where it is
    jobs = 4
['remote "quoted"']
    url = "s3://bucket/with#hash"
    endpointurl = 'http://127.0.0.1:9000'
    secret_access_key = "a=b;c"
['remote "home"']
    url = ~/models
['remote "absolute"']
    url = /var/models
['remote "keys"']
    url = ssh://example.org:2222/models
    keyfile = ../keys/id
['remote "gcs"']
    url = gs://bucket
    credentialpath = ~/key.json
[cache]
    type = "reflink,hardlink"
    dir = ../../cache dir
"""


def test_configuration_is_read_as_dvc_reads_it(repo: Repo) -> None:
    """Quotes, comments, case, `~` and relative locations mean to us what they mean to DVC."""
    text = CONFIGURATION.replace("   ; not a comment to DVC?", "")
    repo.write(".dvc/config", text)
    repo.write(".dvc/config.local", "['remote \"Store\"']\n    url = ../local\n    verify = true\n")
    theirs, ours = Config(str(repo.path / ".dvc"), validate=False), load_config(repo.path)
    assert {name: dict(values) for name, values in theirs["remote"].items()} == {
        name: dict(values) for name, values in ours.remotes.items()
    }
    assert theirs["core"]["remote"].lower() == ours.default_remote
    assert Path(theirs["cache"]["dir"]) == ours.cache_dir
    assert ours.link_types == ("reflink", "hardlink", "copy")


# Locks.


def test_the_lock_is_a_flock(repo: Repo) -> None:
    """Who holds an exclusive `flock` on `.dvc/tmp/lock` keeps every DVC command out."""
    with open(repo.path / ".dvc/tmp/lock", "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kept_out = repo.try_dvc("checkout")
    assert kept_out.code != 0
    assert "lock" in kept_out.err
    assert repo.try_dvc("checkout").code == 0


def test_dvc_holds_that_lock_itself(opened: Any, repo: Repo) -> None:
    """While DVC is at work the same file cannot be locked by us."""
    lock = repo.path / ".dvc/tmp/lock"
    with opened.lock, open(lock, "a", encoding="utf-8") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Hashes.


@pytest.mark.parametrize(
    "names",
    [("a", "b", "deep/c"), ("é", "z", "A", "a b", "日本"), ('quote"d', "back\\slash", "tab\there"), ("only",)],
)
def test_manifests_are_byte_for_byte_dvcs(repo: Repo, names: tuple[str, ...]) -> None:
    """The manifest that we write for a folder is the one that `dvc add` writes."""
    for name in names:
        repo.write(f"data/{name}", name)
    repo.write("data/same", names[0])
    repo.dvc("add", "-q", "data")
    oid = next(line.split()[-1] for line in repo.read("data.dvc").decode().splitlines() if "md5:" in line)
    known = KnownHashes(repo.path.parent / "known.sqlite")
    found = list_files(repo.path / "data")
    assert manifest_bytes(known, repo.path / "data", found) == repo.object(oid).read_bytes()
    assert manifest_bytes_md5(known, repo.path / "data", found, legacy=False) + ".dir" == oid
    known.close()


TEXTS = {
    "lines": b"a\r\nb\r\n",
    "old Mac": b"a\rb\r",
    "binary": bytes(range(256)) * 4,
    "empty": b"",
    "NUL late": b"text\r\n" * 200 + b"\0" * 20,
    "30 % of control characters": (b"\x01" * 153 + b"a" * 359) + b"\r\n",
    "31 % of control characters": (b"\x01" * 155 + b"a" * 357) + b"\r\n",
    "UTF-8": "größer\r\n".encode() * 100,
    "a line end across two blocks": b"x" * ((1 << 20) - 1) + b"\r\n" + b"y" * 100,
    "escape sequences": b"\x1b[31mred\x1b[0m\r\n" * 50,
    "latin": bytes(range(160, 256)) * 6 + b"\r\n",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["md5", "md5-dos2unix"])
def test_files_are_hashed_as_dvc_hashes_them(tmp_path: Path, kind: str, name: str) -> None:
    """Our MD5 of a file, and of one that DVC 2 would have taken for text, is DVC's."""
    path = tmp_path / "file"
    path.write_bytes(TEXTS[kind])
    assert hash_file(path, text=name != "md5") == file_md5(str(path), localfs, name=name)


# DVC's memory of what it has seen (`stores/dvc_state.py`).


def test_where_the_state_lies(opened: Any, repo: Repo) -> None:
    """We find the folder of DVC's state by the same token as DVC."""
    assert dvc_state.state_folder(repo.path) == Path(opened.site_cache_dir)
    assert (Path(opened.site_cache_dir) / "hashes/local/cache.db").is_file()


@pytest.mark.parametrize("database", ["hashes/local", "links"])
def test_the_tables_of_the_state(opened: Any, database: str) -> None:
    """Both databases are one table of keys and values, with a unique key."""
    path = Path(opened.site_cache_dir) / database / "cache.db"
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(Cache)")]
    connection.close()
    assert columns == [
        "rowid", "key", "raw", "store_time", "expire_time", "access_time", "access_count", "tag", "size", "mode",
        "filename", "value",
    ]  # fmt: skip


def test_what_dvc_keeps_of_a_file_and_a_link(opened: Any, repo: Repo) -> None:
    """An entry is JSON with the checksum of inode, time and size; a link is the pair of inode and time."""
    path = repo.path / "models/model.bin"
    opened.status()
    raw = opened.state.hashes.get(str(path))
    assert json.loads(raw) == json.loads(dvc_state.format_entry(path.stat(), Digest(OID_3)))
    opened.state.save_link(str(path), opened.fs)
    database = sqlite3.connect(Path(opened.site_cache_dir) / "links/cache.db")
    query = "SELECT raw, mode, value FROM Cache WHERE key = 'models/model.bin'"
    row = database.execute(query).fetchone()
    database.close()
    value = dvc_state.format_link(path.lstat().st_ino, dvc_state.mark_of(str(path), {str(path): path.stat()}))
    assert (row[0], row[1], bytes(row[2])) == (1, 4, value)


@pytest.mark.parametrize("inode", [0, 1, 127, 255, 256, 65535, 65536, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 64) - 1])
def test_links_are_written_as_pickle_writes_them(inode: int) -> None:
    """The pair of a link is byte for byte what Python's own pickler makes of it."""
    import pickle

    assert dvc_state.format_link(inode, "1780000000123456789") == pickle.dumps((inode, "1780000000123456789"), 4)


def test_directories_are_marked_as_dvc_marks_them(opened: Any, repo: Repo) -> None:
    """The mark by which DVC knows a linked directory again is ours."""
    from dvc_data.hashfile.utils import get_mtime_and_size

    for name, files in (("dir", list_files(repo.path / "models/dir")), ("model.bin", None)):
        path = repo.path / "models" / name
        theirs, _ = get_mtime_and_size(str(path), opened.fs, opened.dvcignore)
        stats = {str(path / name): (path / name).stat() for name in files or ("",)}
        assert dvc_state.mark_of(str(path), stats) == theirs
