"""Outs that come from elsewhere: another DVC repository, a file outside, a cloud that keeps versions."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

import modelctl
from modelctl import NotFound, Unavailable
from tests.handmade import assert_settled, md5, refused, release, row, store, there_and_back, track
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]


def imported(repo: Repo) -> None:
    """v1 and v2 of a model and of a folder that another DVC repository releases."""
    source = Repo(repo.path.parent / "source")
    source.path.mkdir()
    source.git("init", "-q")
    source.dvc("init", "-q")
    source.write(".dvc/config", "[core]\n    remote = own\n['remote \"own\"']\n    url = ../../own\n")
    for number in (1, 2):
        track(source, "m.bin", f"m {number}\n".encode())
        track(source, "folder", {"a": f"a {number}\n".encode(), "b": b"b\n"})
        source.commit(str(number), number)
        source.tag(f"v{number}", day=number)
        source.dvc("push", "-q")
    shutil.rmtree(repo.path.parent / "remote")
    (repo.path.parent / "remote").mkdir()
    (repo.path / "models").mkdir()
    for name in ("m.bin", "folder"):
        repo.dvc("import", "-q", "--rev", "v1", "../source", name, "-o", f"models/{name}")
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    for name in ("m.bin", "folder"):
        repo.dvc("update", "-q", "--rev", "v2", f"models/{name}.dvc")
    repo.commit("model-v2", 2)
    repo.tag("model-v2", day=2)


@pytest.fixture
def imports(fresh: Fresh) -> Repo:
    repo = fresh("imported", imported)
    assert b"repo:" in repo.read("models/m.bin.dvc")
    return repo


def test_imports_from_the_cache(imports: Repo) -> None:
    """What was imported from another DVC repository is switched like anything else."""
    there_and_back(imports, "v1")


def test_imports_that_are_not_cached(imports: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported bytes, which the own remote does not have, are fetched from the repository that they came from."""
    imports.drop_cache()
    assert row(imports, "model-v1").bytes == "missing"
    done = modelctl.Repository(imports.path).rollback("v1")
    assert done.fetched_objects > 0
    assert imports.read("models/m.bin") == b"m 1\n"
    assert imports.read("models/folder/a") == b"a 1\n"
    assert imports.git("status", "--porcelain") == ""


def test_imports_whose_source_is_gone(imports: Repo) -> None:
    """When the source is gone nothing changes, and the out is named."""
    imports.drop_cache()
    (imports.path.parent / "source").rename(imports.path.parent / "elsewhere")
    error = refused(imports, Unavailable, "v1")
    assert "models/" in error.message


def test_import_without_download(imports: Repo) -> None:
    """An import that was never downloaded names no hash, and cannot be restored."""
    imports.dvc("import", "-q", "--no-download", "../source", "m.bin", "-o", "models/later.bin")
    imports.commit("model-v3", 3)
    imports.tag("model-v3", day=3)
    modelctl.Repository(imports.path).rollback("v2")
    assert row(imports, "model-v3").why == "models/later.bin is declared without a hash"
    assert "models/later.bin is declared without a hash" in refused(imports, NotFound, "v3").message


def import_url(repo: Repo) -> None:
    (repo.path / "models").mkdir()
    for number in (1, 2):
        (repo.path.parent / "weights.bin").write_text(f"weights {number}\n")
        if number == 1:
            repo.dvc("import-url", "-q", "../../weights.bin", "models/m.bin")
        else:
            repo.dvc("update", "-q", "models/m.bin.dvc")
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)


def test_import_of_a_file_outside(fresh: Fresh) -> None:
    """A file imported by its location is restored from the cache; the location itself holds other bytes by now."""
    repo = fresh("import-url", import_url)
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read("models/m.bin") == b"weights 1\n"
    assert repo.git("status", "--porcelain") == ""
    said = repo.dvc("status", "models/m.bin.dvc")
    assert "changed outs" not in said
    modelctl.Repository(repo.path).undo()
    assert_settled(repo)


def test_import_whose_location_has_other_bytes(fresh: Fresh) -> None:
    """Bytes that the location had then and nobody has now are not replaced by those that it has now."""
    repo = fresh("import-url", import_url)
    repo.drop_cache()
    error = refused(repo, modelctl.ModelctlError, "v1")
    assert "models/m.bin" in error.message
    assert repo.read("models/m.bin") == b"weights 2\n"


CLOUD = """\
outs:
- md5: {oid}
  size: {size}
  hash: md5
  cloud:
    store:
      etag: abcdef
      version_id: "null"
  path: m.bin
"""


def test_cloud_versioned_file(fresh: Fresh) -> None:
    """A pointer with a cloud's version id is restored from the cache by its hash."""
    repo = fresh("nothing", lambda new: None)
    for number in (1, 2):
        data = f"{number}\n".encode()
        track(repo, "models/m.bin", data)
        repo.write("models/m.bin.dvc", CLOUD.format(oid=md5(data), size=len(data)))
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)
    assert row(repo, "model-v1").bytes == "cached"
    there_and_back(repo, "v1")


FILES = """\
outs:
- hash: md5
  files:
  - relpath: a
    md5: {oid}
    size: 2
    cloud:
      store:
        version_id: x1
  path: folder
"""


def test_cloud_versioned_directory(fresh: Fresh) -> None:
    """A directory that a cloud keeps versions of, listed file by file without a hash of the whole, is refused."""
    repo = fresh("nothing", lambda new: None)
    repo.write("models/folder.dvc", FILES.format(oid=store(repo, b"1\n", md5(b"1\n"))))
    repo.write("models/.gitignore", "/folder\n")
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    release(repo, "model-v2", {"a": b"2\n"}, "models/folder", day=2)
    found = row(repo, "model-v1")
    assert found.bytes == "not restorable"
    assert "cloud-versioned" in found.why
    assert "cloud-versioned" in refused(repo, NotFound, "v1").message
