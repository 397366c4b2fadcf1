"""After a switch DVC knows what lies where: it reads no bytes again, and cleans up after us as after itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from dvc.repo import Repo as DvcRepo

import modelctl
from modelctl.domain.pointers import Digest
from modelctl.stores import dvc_state
from tests.repos import Repo

TYPES = ("copy", "hardlink", "symlink", "reflink,copy")


def known_to_dvc(repo: Repo) -> dict[str, str | None]:
    """The hash that DVC has in its memory for each file of the models, None where it would have to read it."""
    found = {}
    with DvcRepo(str(repo.path)) as opened:
        for path in sorted((repo.path / "models").rglob("*")):
            if path.is_file() and path.suffix != ".dvc" and path.name != ".gitignore":
                _, info = opened.state.get(str(path), opened.fs)
                found[path.relative_to(repo.path).as_posix()] = info.value if info else None
    return found


def databases(repo: Repo) -> list[Path]:
    folder = dvc_state.state_folder(repo.path)
    assert folder is not None
    return [folder / "hashes/local/cache.db", folder / "links/cache.db"]


def extra_out(repo: Repo) -> None:
    """A release `v4` with an out that no other release has, live here."""
    repo.write("models/extra.bin", b"extra\n" * 1000)
    repo.write("models/more/a", "a\n")
    repo.write("models/more/deep/b", "b\n")
    repo.dvc("add", "-q", "models/extra.bin", "models/more")
    repo.commit("Extra", 4)
    repo.tag("model-v4")
    repo.git("checkout", "-q", "-b", "later")
    repo.git("branch", "-q", "-f", "main", "model-v3")


@pytest.mark.parametrize("kind", TYPES)
def test_status_has_nothing_to_hash(repo: Repo, kind: str) -> None:
    """After a rollback DVC remembers the right hash of every file that was put in place, whatever the link type."""
    repo.dvc("config", "--local", "cache.type", kind)
    repo.dvc("status")
    modelctl.Repository(repo.path).rollback("v1")
    known = known_to_dvc(repo)
    tree = repo.tree()
    assert known == {name: tree[name] for name in known}
    assert len(known) == 5
    assert "up to date" in repo.dvc("status")
    assert known_to_dvc(repo) == known


@pytest.mark.parametrize("kind", TYPES)
def test_checkout_removes_an_out_that_we_put_there(repo: Repo, kind: str) -> None:
    """An out that only our release has goes with `git checkout` and `dvc checkout`, as after DVC's own pull."""
    repo.dvc("config", "--local", "cache.type", kind)
    extra_out(repo)
    repo.git("checkout", "-q", "main")
    repo.dvc("checkout", "-q")
    assert not (repo.path / "models/extra.bin").exists()
    modelctl.Repository(repo.path).deploy("v4")
    assert repo.read("models/more/deep/b") == b"b\n"
    repo.git("checkout", "-q", "main")
    repo.dvc("checkout", "-q")
    assert not (repo.path / "models/extra.bin").exists()
    assert not (repo.path / "models/more/a").exists()
    assert repo.git("status", "--porcelain") == ""


def test_checkout_leaves_an_out_that_was_changed_since(repo: Repo) -> None:
    """An out that the user has written to since our switch is not taken for one that may go."""
    extra_out(repo)
    modelctl.Repository(repo.path).rollback("v1")
    modelctl.Repository(repo.path).deploy("v4")
    repo.write("models/extra.bin", b"mine\n")
    repo.git("checkout", "-q", "-f", "main")
    repo.try_dvc("checkout", "-q")
    assert repo.read("models/extra.bin") == b"mine\n"


def test_outs_of_dvc_2_are_remembered_by_their_own_hash(repo: Repo) -> None:
    """A pointer without a hash name is remembered under the older algorithm, as DVC asks for it."""
    import hashlib

    data, oid = b"weights\r\n", hashlib.md5(b"weights\n").hexdigest()
    path = repo.path / ".dvc/cache" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    repo.write("models/model.bin.dvc", f"outs:\n- md5: {oid}\n  size: {len(data)}\n  path: model.bin\n")
    repo.commit("As DVC 2 wrote it", 4)
    repo.tag("model-v4")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.dvc("status")
    modelctl.Repository(repo.path).deploy("v4")
    with DvcRepo(str(repo.path)) as opened:
        _, info = opened.state.get(str(repo.path / "models/model.bin"), opened.fs)
    assert (info.name, info.value) == ("md5-dos2unix", oid)
    assert "up to date" in repo.dvc("status")


def test_through_a_symlinked_folder_it_is_the_same_clone(repo: Repo, tmp_path: Path) -> None:
    """A clone that is entered by another name has the same memory: DVC goes by the real one."""
    other = tmp_path / "by-another-name"
    other.symlink_to(repo.path)
    repo.dvc("status")
    modelctl.Repository(other).rollback("v1")
    assert None not in known_to_dvc(repo).values()


def test_where_dvc_has_no_memory_none_is_made(repo: Repo) -> None:
    """In a clone in which DVC has never run, nothing is created for it."""
    shutil.rmtree(repo.path / ".dvc/tmp")
    before = sorted(Path(os.environ["DVC_SITE_CACHE_DIR"]).rglob("*"))
    modelctl.Repository(repo.path).rollback("v1")
    assert not (repo.path / ".dvc/tmp").exists()
    assert sorted(Path(os.environ["DVC_SITE_CACHE_DIR"]).rglob("*")) == before


@pytest.mark.parametrize("damage", ["absent", "other table", "other columns", "no database", "read-only", "locked"])
def test_a_memory_that_is_not_as_expected_is_left_alone(repo: Repo, damage: str) -> None:
    """Whatever DVC's databases look like, the switch succeeds and they are as they were."""
    repo.dvc("status")
    holders = []
    for path in databases(repo):
        for extra in path.parent.glob("cache.db*"):
            if damage in {"absent", "no database", "other table", "other columns"}:
                extra.unlink()
        if damage == "no database":
            path.write_bytes(b"not SQLite at all" * 100)
        elif damage.startswith("other"):
            database = sqlite3.connect(path)
            table = "Other (key)" if damage == "other table" else "Cache (key, value)"
            database.execute(f"CREATE TABLE {table}")
            database.commit()
            database.close()
        elif damage == "locked":
            database = sqlite3.connect(path, isolation_level=None)
            database.execute("BEGIN IMMEDIATE")
            holders.append(database)
        elif damage == "read-only":
            path.parent.chmod(0o555)
            path.chmod(0o444)
    before = {path: path.read_bytes() for path in databases(repo) if path.exists()}
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read("models/model.bin") == b"model 1\n" * 1000
    if damage != "read-only" or os.geteuid() != 0:
        assert {path: path.read_bytes() for path in databases(repo) if path.exists()} == before
    for database in holders:
        database.close()
    for path in databases(repo):
        path.parent.chmod(0o755)


def test_the_databases_stay_whole(repo: Repo) -> None:
    """After our writes SQLite finds nothing wrong, and DVC's own count of entries is right."""
    repo.dvc("status")
    for release in ("v1", "v2", "v1"):
        modelctl.Repository(repo.path).rollback(release) if release != "v2" else modelctl.Repository(repo.path).deploy(
            release
        )
    for path in databases(repo):
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        (count,) = database.execute("SELECT COUNT(*) FROM Cache").fetchone()
        assert database.execute("SELECT value FROM Settings WHERE key = 'count'").fetchone() == (count,)
        database.close()
    with DvcRepo(str(repo.path)) as opened:
        assert not opened.state.hashes.check()
        assert not opened.state.links.check()


def test_what_is_known_already_is_not_written_again(repo: Repo) -> None:
    """Remembering the same thing twice changes nothing in the databases."""
    repo.dvc("config", "--local", "cache.type", "hardlink")
    repo.dvc("status")
    modelctl.Repository(repo.path).rollback("v1")
    path = repo.path / "models/model.bin"
    placed = dvc_state.Placed(path, {"": Digest(repo.tree()["models/model.bin"])})
    before = [database.read_bytes() for database in databases(repo)]
    dvc_state.remember(repo.path, [placed])
    assert [database.read_bytes() for database in databases(repo)] == before
