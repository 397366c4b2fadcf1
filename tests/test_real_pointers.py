"""`.dvc` files as real repositories have them: anywhere, of any DVC version, with anything in them."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

import modelctl
from modelctl import Integrity, NotFound
from tests.handmade import (
    assert_settled,
    ignore,
    md5,
    refused,
    release,
    row,
    store,
    there_and_back,
    track,
    write_out,
)
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]


def empty(repo: Repo) -> None:
    repo.commit("Start")


def versions(repo: Repo, make: Callable[[int], None], count: int = 2) -> None:
    """Make, commit and tag `model-v1` and so on."""
    for number in range(1, count + 1):
        make(number)
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)


@pytest.mark.parametrize(
    "data", [b"some text\n", {"a": b"1\n", "deep/b": b"2\n", "empty": b""}], ids=["file", "directory"]
)
def test_track_is_dvc_add(fresh: Fresh, data: bytes | dict[str, bytes]) -> None:
    """What these tests write by hand is, byte for byte, what `dvc add` and `dvc push` write."""
    ours, theirs = fresh("empty", empty), fresh("empty-again", empty)
    track(ours, "models/m", data)
    write_out(theirs, "models/m", data)
    theirs.dvc("add", "-q", "models/m")
    theirs.dvc("push", "-q")
    for name in ("models/m.dvc", "models/.gitignore"):
        assert ours.read(name) == theirs.read(name)
    assert ours.cached() == theirs.cached()
    assert ours.on_remote() == theirs.on_remote()


def test_pointer_at_the_top_and_in_hidden_and_nested_folders(fresh: Fresh) -> None:
    """A model is found wherever the settings say: at the top, deep down, in a folder with a dot."""
    repo = fresh("empty", empty)
    paths = ["model.pkl", ".cache/best.pt", "a/b/c/weights"]
    repo.write("modelctl.toml", f"[models]\nchurn = {paths}\n")

    def make(number: int) -> None:
        for path in paths:
            track(repo, path, f"{path} {number}\n".encode())

    versions(repo, make)
    assert {p.path for p in modelctl.Repository(repo.path).show("v1").pointers} == set(paths)
    there_and_back(repo, "v1")


def test_wdir_of_a_dvc_file(fresh: Fresh) -> None:
    """A `.dvc` file with `wdir` names an out elsewhere."""
    repo = fresh("empty", empty)

    def make(number: int) -> None:
        data = f"model {number}\n".encode()
        oid = store(repo, data, md5(data))
        repo.write("models/m.bin", data)
        text = f"wdir: ../models\nouts:\n- md5: {oid}\n  size: {len(data)}\n  hash: md5\n  path: m.bin\n"
        repo.write("pointers/m.dvc", text)
        ignore(repo, "models/m.bin")

    versions(repo, make)
    (pointer,) = modelctl.Repository(repo.path).show("v1").pointers
    assert (pointer.path, pointer.pointer) == ("models/m.bin", "pointers/m.dvc")
    there_and_back(repo, "v1")


def test_several_outs_and_descriptions_in_one_file(fresh: Fresh) -> None:
    """A `.dvc` file may hold several outs, a description, labels and metadata; none of it matters to a switch."""
    repo = fresh("empty", empty)

    def make(number: int) -> None:
        lines = ["desc: A model of ours", "meta: {owner: ann, list: [1, 2]}", "frozen: true", "outs:"]
        for name in ("a.bin", "b.bin"):
            data = f"{name} {number}\n".encode()
            repo.write(f"models/{name}", data)
            lines += [f"- md5: {store(repo, data, md5(data))}", f"  size: {len(data)}", "  hash: md5"]
            lines += [f"  path: {name}", "  desc: 'one: of two'", "  type: model", "  labels: [x]", "  persist: true"]
            ignore(repo, f"models/{name}")
        repo.write("models/both.dvc", "\n".join([*lines, ""]))

    versions(repo, make)
    there_and_back(repo, "v1")


def test_out_that_is_not_ignored(fresh: Fresh) -> None:
    """An out that no `.gitignore` names at the tag stays out of `git status` and of `git add -A`, there and after."""
    repo = fresh("empty", empty)

    def make(number: int) -> None:
        track(repo, "models/m.bin", f"{number}\n".encode(), ignored=number > 1)
        track(repo, "models/folder", {"x": f"{number}\n".encode()}, ignored=number > 1)
        if number == 1:
            for name in ("m.bin", "folder"):
                repo.write(".git/info/exclude", repo.read(".git/info/exclude") + f"/models/{name}\n".encode())
        else:
            repo.write(".git/info/exclude", "# mine\n")

    versions(repo, make, 3)
    assert repo.git("ls-tree", "-r", "--name-only", "model-v1", "models").split() == [
        *("models/folder.dvc", "models/m.bin.dvc")
    ]
    there_and_back(repo, "v1")
    assert repo.read(".git/info/exclude") == b"# mine\n"
    there_and_back(repo, "v2")


def test_directory_of_thousands_of_files(fresh: Fresh) -> None:
    """A directory of 3,000 files of which a few differ is switched whole, and the diff counts what differs."""
    repo = fresh("empty", empty)
    repo.write(".dvc/config.local", "[cache]\n    type = hardlink\n")

    def make(number: int) -> None:
        files = {f"part-{n % 30}/{n}.npy": f"{n}\n".encode() for n in range(3000)}
        files["part-0/0.npy"] = f"first {number}\n".encode()
        files[f"only-{number}"] = b"x\n"
        track(repo, "models/big", files)

    versions(repo, make)
    (change,) = modelctl.Repository(repo.path).diff("v1", "v2").models
    assert change.files is not None
    assert (change.files.added, change.files.removed, change.files.changed) == (
        ("only-2",), ("only-1",), ("part-0/0.npy",),
    )  # fmt: skip
    there_and_back(repo, "v1")


NAMES = [
    *("mo del.bin", "модель.bin", "café (1).bin", "a'b\"c.bin", "#hash"),
    *("!bang", "100%[x]*.bin", "-dash", "日本/語.bin"),
]


def test_names_with_spaces_and_other_scripts(fresh: Fresh) -> None:
    """Spaces, quotes, wildcards, a leading dash and other scripts in names are names like any other."""
    repo = fresh("empty", empty)

    def make(number: int) -> None:
        for name in NAMES:
            track(repo, f"models/{name}", f"{name} {number}\n".encode(), ignored=False)
            quoted = name.rpartition("/")[2].replace("[", "\\[").replace("*", "\\*")
            folder = f"models/{name}".rpartition("/")[0]
            known = repo.read(f"{folder}/.gitignore").decode() if (repo.path / folder / ".gitignore").exists() else ""
            if f"/{quoted}\n" not in known:
                repo.write(f"{folder}/.gitignore", f"{known}/{quoted}\n")
            path = repo.path / f"models/{name}.dvc"
            oid = md5(f"{name} {number}\n".encode())
            size = len(f"{name} {number}\n".encode())
            escaped = name.rpartition("/")[2].replace("'", "''")
            path.write_text(f"outs:\n- md5: {oid}\n  size: {size}\n  hash: md5\n  path: '{escaped}'\n")
        track(repo, "models/folder", {f"x {number}/ü.txt": b"1\n", "emp ty": b""})

    versions(repo, make)
    assert {p.path for p in modelctl.Repository(repo.path).show("v1").pointers} >= {f"models/{name}" for name in NAMES}
    there_and_back(repo, "v1")


def test_unusual_names_that_are_not_ignored(fresh: Fresh) -> None:
    """Names with wildcards, spaces and other scripts are kept out of `git status` without a `.gitignore` too."""
    repo = fresh("empty", empty)
    kept = ["mo del.bin ", "модель.bin", "#hash", "!bang", "x[1]*?.bin", "back"]

    def make(number: int) -> None:
        for name in kept:
            data = f"{name} {number}\n".encode()
            track(repo, f"models/{name}", data, ignored=False)
            text = f"outs:\n- md5: {md5(data)}\n  size: {len(data)}\n  hash: md5\n  path: '{name}'\n"
            repo.write(f"models/{name}.dvc", text)
        repo.write("models/.gitignore", "*\n!*.dvc\n!.gitignore\n" if number == 2 else "")
        repo.git("add", "-A", "models/*.dvc", "models/.gitignore", "-f")
        repo.git("commit", "-q", "-m", "pointers")

    for number in (1, 2):
        make(number)
        repo.tag(f"model-v{number}", day=number)
    modelctl.Repository(repo.path).rollback("v1")
    assert_settled(repo)
    modelctl.Repository(repo.path).undo()
    assert_settled(repo)


def test_zero_byte_outs(fresh: Fresh) -> None:
    """An empty file is tracked, restored and told from a missing one."""
    repo = fresh("empty", empty)
    release(repo, "model-v1", b"", day=1)
    release(repo, "model-v2", b"not empty\n", day=2)
    release(repo, "model-v3", {"empty": b"", "full": b"x\n"}, "models/folder", day=3)
    there_and_back(repo, "v1")
    there_and_back(repo, "v2")


def executables(repo: Repo) -> None:
    repo.commit("Start")
    for number in (1, 2):
        repo.write("models/run.sh", f"#!/bin/sh\necho {number}\n")
        (repo.path / "models/run.sh").chmod(0o755 if number == 1 else 0o644)
        repo.dvc("add", "-q", "models/run.sh")
        if number == 2:
            text = repo.read("models/run.sh.dvc").decode().replace("  isexec: true\n", "")
            repo.write("models/run.sh.dvc", text)
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)


def test_executable_outs(fresh: Fresh) -> None:
    """An out that was executable is so again after a rollback, and not after going back."""
    repo = fresh("executables", executables)
    assert b"isexec: true" in repo.git("show", "model-v1:models/run.sh.dvc").encode()
    there_and_back(repo, "v1")
    modelctl.Repository(repo.path).rollback("v1")
    assert os.access(repo.path / "models/run.sh", os.X_OK)


def test_pointers_that_dvcignore_hides(fresh: Fresh) -> None:
    """A pointer that `.dvcignore` excludes is no part of a release, with negated patterns read in their order."""
    repo = fresh("empty", empty)
    repo.write(".dvcignore", "# comment\n/models/old-*\n!/models/old-but-good*\n")

    def make(number: int) -> None:
        for name in ("m.bin", "old-1.bin", "old-but-good.bin"):
            track(repo, f"models/{name}", f"{name} {number}\n".encode())

    versions(repo, make)
    shown = modelctl.Repository(repo.path).show("v1")
    assert {p.path for p in shown.pointers} == {"models/m.bin", "models/old-but-good.bin"}
    modelctl.Repository(repo.path).rollback("v1")
    assert repo.read("models/m.bin") == b"m.bin 1\n"
    assert repo.read("models/old-1.bin") == b"old-1.bin 2\n"


def test_out_without_a_hash(fresh: Fresh) -> None:
    """A pointer that names no hash, as some commands and hand edits leave it, cannot be restored and says so."""
    repo = fresh("empty", empty)
    repo.write("models/m.bin.dvc", "outs:\n- path: m.bin\n")
    ignore(repo, "models/m.bin")
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    release(repo, "model-v2", b"2\n", "models/m.bin", day=2)
    assert (row(repo, "model-v1").bytes, row(repo, "model-v1").why) == (
        "not restorable",
        "models/m.bin is declared without a hash",
    )
    assert modelctl.Repository(repo.path).show("v1").pointers[0].why == "declared without a hash"
    assert "models/m.bin is declared without a hash" in refused(repo, NotFound, "v1").message
    assert refused(repo, NotFound, None).message == "there is no earlier release with another model"


BROKEN = {
    "conflict": (
        f"outs:\n<<<<<<< HEAD\n- md5: {'a' * 32}\n=======\n- md5: {'b' * 32}\n>>>>>>> topic\n  path: m.bin\n",
        "it holds Git conflict markers",
    ),
    "yaml": ("outs: [unclosed\n", "models/m.bin.dvc is not readable YAML"),
    "text": ("just a text\n", "models/m.bin.dvc is not the mapping that DVC writes"),
    "binary": (b"\xff\xfe\x00\x01", "models/m.bin.dvc is not UTF-8 text"),
    "list": ("outs:\n  m.bin: here\n", "models/m.bin.dvc holds no list where DVC writes one"),
    "hash": ("outs:\n- md5: ../../etc\n  path: m.bin\n", "models/m.bin.dvc holds '../../etc' where a hash belongs"),
    "leaves": ("outs:\n- md5: " + "a" * 32 + "\n  path: ../../../x\n", "leaves the repository"),
    "absolute": ("outs:\n- md5: " + "a" * 32 + "\n  path: /data/m.bin\n", "is not a relative path"),
    "etag": ("outs:\n- etag: abc\n  path: m.bin\n", "something other than md5"),
    "empty": ("", "DVC tracks nothing at that commit"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_pointer_is_said_of_its_release(fresh: Fresh, kind: str) -> None:
    """A pointer that cannot be read makes its release not readable, with the reason, and no command fails for it."""
    repo = fresh("empty", empty)
    release(repo, "model-v1", b"1\n", day=1)
    text, said = BROKEN[kind]
    repo.write("models/model.bin.dvc", b"")
    repo.git("rm", "-q", "--cached", "models/model.bin.dvc")
    (repo.path / "models/model.bin.dvc").unlink()
    repo.write("models/m.bin.dvc", text)
    repo.commit("model-v2", 2)
    repo.tag("model-v2", day=2)
    (repo.path / "models/m.bin.dvc").unlink()
    release(repo, "model-v3", b"3\n", day=3)
    mine = modelctl.Repository(repo.path)
    assert [r.bytes for r in mine.releases()][::2] == ["cached", "cached"]
    broken = row(repo, "model-v2")
    assert broken.bytes in {"not readable", "not restorable"}
    assert said in broken.why
    assert mine.show("v2").release.why == broken.why
    assert mine.diff("v1", "v2").models
    assert said in refused(repo, modelctl.ModelctlError, "v2").message
    assert said in refused(repo, modelctl.ModelctlError, "v2", everything=True).message
    assert mine.rollback().target == "v1"
    assert_settled(repo)


def test_broken_pointer_in_the_workspace(fresh: Fresh) -> None:
    """With conflict markers in the workspace's own pointer, status names it and a rollback is refused for it."""
    repo = fresh("empty", empty)
    release(repo, "model-v1", b"1\n", day=1)
    release(repo, "model-v2", b"2\n", day=2)
    repo.write("models/model.bin.dvc", BROKEN["conflict"][0])
    mine = modelctl.Repository(repo.path)
    assert mine.status().problems == ("models/model.bin.dvc: it holds Git conflict markers",)
    assert "local changes are in the way: models/model.bin.dvc" in refused(repo, modelctl.Refused, "v1").message


def test_broken_pointer_on_the_branch_that_one_leaves(fresh: Fresh) -> None:
    """From a branch whose committed pointer is broken the way back to a good release is open, and so is undo."""
    repo = fresh("empty", empty)
    release(repo, "model-v1", b"1\n", day=1)
    release(repo, "model-v2", b"2\n", day=2)
    repo.write("models/model.bin.dvc", BROKEN["conflict"][0])
    repo.commit("Merged in a hurry", 3)
    mine = modelctl.Repository(repo.path)
    assert mine.rollback("v1").changed
    assert repo.read("models/model.bin") == b"1\n"
    assert_settled(repo)
    error = undo_refused(repo)
    assert "it holds Git conflict markers" in error.message
    assert error.hint == "git switch main   # takes the code; its model cannot be read"


def undo_refused(repo: Repo) -> modelctl.ModelctlError:
    with pytest.raises(Integrity) as caught:
        modelctl.Repository(repo.path).undo()
    return caught.value


def test_two_pointers_of_one_path(fresh: Fresh) -> None:
    """Two `.dvc` files that claim one path are refused: no one can say which of them is meant."""
    repo = fresh("empty", empty)
    release(repo, "model-v1", b"1\n", day=1)
    repo.write("models/twin.dvc", repo.read("models/model.bin.dvc"))
    repo.commit("model-v2", 2)
    repo.tag("model-v2", day=2)
    repo.git("rm", "-q", "models/twin.dvc")
    release(repo, "model-v3", b"3\n", day=3)
    assert "two pointers name the same path: models/model.bin" in refused(repo, Integrity, "v2").message
    assert row(repo, "model-v2").bytes == "not readable"


def test_out_inside_another(fresh: Fresh) -> None:
    """A path that lies inside another out is refused, as DVC refuses it."""
    repo = fresh("empty", empty)
    release(repo, "model-v1", {"a": b"1\n"}, "models/folder", day=1)
    data = b"inside\n"
    text = f"wdir: folder\nouts:\n- md5: {store(repo, data, md5(data))}\n  size: 7\n  hash: md5\n  path: a\n"
    repo.write("models/inner.dvc", text)
    repo.commit("model-v2", 2)
    repo.tag("model-v2", day=2)
    repo.git("rm", "-q", "models/inner.dvc")
    release(repo, "model-v3", {"a": b"3\n"}, "models/folder", day=3)
    assert "lies inside the out models/folder" in refused(repo, Integrity, "v2").message


def test_out_that_git_tracks_too(fresh: Fresh) -> None:
    """A model that somebody committed to Git as well is refused, with the way out."""
    repo = fresh("empty", empty)
    track(repo, "models/model.bin", b"1\n")
    repo.git("add", "-f", "models/model.bin")
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    repo.git("rm", "-q", "--cached", "models/model.bin")
    release(repo, "model-v2", b"2\n", day=2)
    error = refused(repo, Integrity, "v1")
    assert "tracked by Git and by DVC" in error.message
