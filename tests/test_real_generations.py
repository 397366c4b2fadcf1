"""Pointers and objects of DVC before 3.0 beside those of today, which one repository, one revision even, may hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import modelctl
from modelctl import Integrity, Refused
from tests.handmade import (
    assert_settled,
    ignore,
    md5,
    refused,
    row,
    store,
    text_md5,
    there_and_back,
    track,
    write_out,
)
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]
CRLF = b"one\r\ntwo\r\n"
BINARY = bytes(range(256)) * 4 + b"\r\n"
FOLDER = {"text.txt": b"x\r\ny\r\n", "deep/weights.bin": BINARY, "empty": b""}


def both_generations(repo: Repo) -> None:
    """v1 and v2 by DVC 2, v3 by both, v4 and v5 by DVC 3; v4 has the bytes of v2 hashed anew."""
    for number, legacy in enumerate((True, True, None, False, False), 1):
        text = CRLF + f"{min(number, 4) if number != 4 else 2}\r\n".encode()
        folder = FOLDER | {"number": f"{number}\n".encode()}
        track(repo, "models/text.txt", text, legacy=legacy is not False)
        track(repo, "models/weights.bin", BINARY + bytes([number]), legacy=legacy is True)
        track(repo, "models/folder", folder, legacy=legacy is not False)
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)
    repo.git("push", "-q", "origin", "main", "--tags")


@pytest.fixture
def mixed(fresh: Fresh) -> Repo:
    return fresh("both-generations", both_generations)


def test_the_two_generations_are_as_described(mixed: Repo) -> None:
    """The older pointers name no hash function, and text with other line ends has another MD5 than its bytes."""
    pointer = mixed.git("show", "model-v1:models/text.txt.dvc")
    assert "hash:" not in pointer
    text = CRLF + b"1\r\n"
    assert text_md5(text) in pointer
    assert md5(text) not in pointer
    assert (mixed.path / ".dvc/cache" / text_md5(text)[:2] / text_md5(text)[2:]).read_bytes() == text


@pytest.mark.parametrize("name", ["v1", "v2", "v3", "v4"])
def test_rollback_across_generations(mixed: Repo, name: str) -> None:
    """From a release of today to one of DVC 2, to one of both, and back: exact, and clean for Git and DVC."""
    there_and_back(mixed, name)


def test_rollback_step_by_step_between_generations(mixed: Repo) -> None:
    """Every step down and up again crosses between the generations without anything being in the way."""
    mine = modelctl.Repository(mixed.path)
    for name in ("v4", "v3", "v2", "v1"):
        mine.rollback(name)
        assert_settled(mixed)
        assert mine.status().models[0].release == name
    for name in ("v2", "v3", "v4", "v5"):
        mine.undo()
        assert_settled(mixed)
        assert mine.status().models[0].release == name


def test_text_hashed_by_dvc_2_is_no_corruption(mixed: Repo) -> None:
    """`verify` and `list` take text with other line ends for what it is, in the cache and on the remote."""
    mine = modelctl.Repository(mixed.path)
    assert {row.bytes for row in mine.releases(remote=True)} == {"cached"}
    assert {row.remote for row in mine.releases(remote=True)} == {"complete"}
    assert mine.verify().ok
    assert mine.verify("v1", remote=True).ok


def test_changed_legacy_object_is_corruption(mixed: Repo) -> None:
    """Other text under an older hash is corrupt all the same."""
    oid = text_md5(CRLF + b"1\r\n")
    path = mixed.path / ".dvc/cache" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(b"other\r\n")
    (verified,) = modelctl.Repository(mixed.path).verify("v1").releases
    assert (verified.verdict, verified.corrupt) == ("corrupt", ("models/text.txt",))


def test_rollback_to_dvc_2_from_a_cold_cache(mixed: Repo) -> None:
    """Objects of the older generation are fetched from where DVC 2 put them on the remote."""
    mixed.drop_cache()
    done = modelctl.Repository(mixed.path).rollback("v1")
    assert done.fetched_objects == 7
    assert mixed.read("models/text.txt") == CRLF + b"1\r\n"
    assert_settled(mixed)


def test_same_bytes_hashed_anew(mixed: Repo) -> None:
    """What DVC 3 hashed again is unchanged where the hashes agree, and said to be changed where they cannot."""
    kinds = {c.path: c.kind for c in modelctl.Repository(mixed.path).diff("v3", "v4").models}
    assert kinds["models/weights.bin"] == "changed"
    track(mixed, "models/text.txt", b"plain\n", legacy=True)
    mixed.commit("older", 6)
    mixed.tag("model-v6", day=6)
    track(mixed, "models/text.txt", b"plain\n")
    mixed.commit("newer", 7)
    mixed.tag("model-v7", day=7)
    kinds = {c.path: c.kind for c in modelctl.Repository(mixed.path).diff("v6", "v7").models}
    assert kinds["models/text.txt"] == "unchanged"
    there_and_back(mixed, "v6")


def test_changed_text_of_dvc_2_is_still_a_local_change(mixed: Repo) -> None:
    """A text that the user changed is refused at a release of DVC 2 too; other line ends alone are no change."""
    mine = modelctl.Repository(mixed.path)
    mine.rollback("v1")
    path = mixed.path / "models/text.txt"
    path.chmod(0o644)
    path.write_bytes(CRLF.replace(b"\r\n", b"\n") + b"1\n")
    assert mine.status().models[0].exact
    path.write_bytes(b"mine\r\n")
    assert mine.status().models[0].changed == ("models/text.txt",)
    with pytest.raises(Refused, match=r"models/text\.txt has changes"):
        mine.undo()


def lock_of_dvc_2(repo: Repo) -> None:
    """A pipeline whose lock DVC 2 wrote at v1 and DVC 3 at v2."""
    stage = "cmd: cp data.txt models/m.txt\n    deps: [data.txt]\n    outs: [models/m.txt]\n"
    repo.write("dvc.yaml", f"stages:\n  fit:\n    {stage}")
    data = b"one\r\n"
    repo.write("data.txt", data)
    write_out(repo, "models/m.txt", data)
    ignore(repo, "models/m.txt")
    oid = store(repo, data, text_md5(data), legacy=True)
    repo.write(
        "dvc.lock",
        "schema: '2.0'\nstages:\n  fit:\n    cmd: cp data.txt models/m.txt\n    deps:\n    - path: data.txt\n"
        f"      md5: {oid}\n      size: 5\n    outs:\n    - path: models/m.txt\n      md5: {oid}\n      size: 5\n",
    )
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    repo.write("data.txt", "two\r\n")
    repo.dvc("repro", "-q")
    repo.commit("model-v2", 2)
    repo.tag("model-v2", day=2)


def test_lock_of_dvc_2(fresh: Fresh) -> None:
    """A `dvc.lock` without hash functions is read as DVC 2's, and crossed to and from."""
    repo = fresh("lock-of-dvc-2", lock_of_dvc_2)
    assert "hash: md5" in repo.git("show", "model-v2:dvc.lock")
    there_and_back(repo, "v1")


def test_models_only_across_generations(fresh: Fresh) -> None:
    """Taking the model alone back splices the older entry into today's lock, byte for byte."""
    repo = fresh("lock-of-dvc-2", lock_of_dvc_2)
    modelctl.Repository(repo.path).rollback("v1", models_only=True)
    assert repo.git("show", "model-v1:dvc.lock") == repo.read("dvc.lock").decode().rstrip("\n")
    assert repo.read("models/m.txt") == b"one\r\n"
    assert repo.git("status", "--porcelain") == "M dvc.lock"
    said = repo.dvc("status")
    assert "data.txt" in said
    assert "models/m.txt" not in said


STAGE_FILE = """\
md5: {stage}
cmd: python train.py
wdir: ..
deps:
- md5: {data}
  path: data.txt
outs:
- md5: {oid}
  path: models/m.bin
  cache: true
  metric: false
  persist: false
"""


@pytest.mark.parametrize("command", [True, False], ids=["stage", "add"])
def test_pointer_of_dvc_0(fresh: Fresh, command: bool) -> None:
    """A `.dvc` file of DVC 0.x, which DVC 3 refuses, makes its release not readable and no other."""
    repo = fresh("nothing", lambda new: None)
    data = b"1\n"
    write_out(repo, "models/m.bin", data)
    ignore(repo, "models/m.bin")
    oid = store(repo, data, md5(data), legacy=True)
    text = STAGE_FILE.format(stage=md5(b""), data=md5(b"data\n"), oid=oid)
    repo.write("models/m.bin.dvc", text if command else text.replace("cmd: python train.py\n", ""))
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    assert "extra keys not allowed" in repo.try_dvc("status").err
    for number in (2, 3):
        track(repo, "models/m.bin", f"{number}\n".encode())
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)
    said = "models/m.bin.dvc was written by DVC 0.x, which DVC 3 no longer reads"
    assert (row(repo, "model-v1").bytes, row(repo, "model-v1").why) == ("not readable", said)
    assert refused(repo, Integrity, "v1").message == f"model-v1 is not readable: {said}"
    there_and_back(repo, "v2")
