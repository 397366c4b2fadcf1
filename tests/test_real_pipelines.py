"""Models that a pipeline makes: `dvc.yaml` in every shape that real repositories give it, run by DVC itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import modelctl
from modelctl import Integrity, NotFound, Refused
from tests.handmade import assert_settled, md5, picture, refused, row, there_and_back, track
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]


def run(repo: Repo, tag: str, day: int, **texts: str) -> None:
    """Write the inputs, let DVC run the pipeline, commit and tag."""
    for name, text in texts.items():
        repo.write(f"{name}.txt", text)
    repo.dvc("repro", "-q", "--all-pipelines")
    repo.commit(tag, day)
    repo.tag(tag, day=day)


def stage(name: str, *, cmd: str, outs: str, wdir: str = ".") -> str:
    return f"  {name}:\n    cmd: {cmd}\n    wdir: {wdir}\n    deps:\n    - data.txt\n    outs:\n    - {outs}\n"


def folder_with_wdir(repo: Repo) -> None:
    """A pipeline in a folder of its own, whose stage works in the folder above it."""
    text = stage("fit", cmd="cp data.txt models/m.bin", outs="models/m.bin", wdir="..")
    repo.write("train/dvc.yaml", "stages:\n" + text)
    repo.write("models/.keep", "")
    run(repo, "model-v1", 1, data="one\n")
    run(repo, "model-v2", 2, data="two\n")


def test_pipeline_in_a_folder_with_wdir(fresh: Fresh) -> None:
    """An out is where `wdir` puts it, and the pointer is the lock beside the `dvc.yaml`."""
    repo = fresh("folder-with-wdir", folder_with_wdir)
    mine = modelctl.Repository(repo.path)
    shown = mine.show("v1")
    assert [(p.path, p.pointer) for p in shown.pointers] == [("models/m.bin", "train/dvc.lock")]
    assert [s.name for s in shown.stages] == ["fit"]
    assert [d["path"] for d in shown.stages[0].dependencies] == ["data.txt"]
    assert [(c.name, c.old, c.new) for c in mine.diff("v1", "v2").dependencies] == [
        ("data.txt", md5(b"one\n"), md5(b"two\n"))
    ]
    there_and_back(repo, "v1")


def templates(repo: Repo) -> None:
    """`foreach`, `matrix`, variables in paths and in `wdir`, with items that one release no longer has."""
    repo.write("params.yaml", "names: [a, b, c]\nfolder: models\ndeep: {er: {place: models/deep}}\n")
    repo.write("other.yaml", "suffix: bin\n")
    repo.write("own.yaml", "kept: {name: x, list: [p, q]}\nsize: 3\n")
    repo.write(
        "dvc.yaml",
        "vars:\n- other.yaml\n- size: 2\nstages:\n"
        "  each:\n    foreach: ${names}\n    do:\n      cmd: cp ${item}.txt models/each-${item}.${suffix}\n"
        "      deps:\n      - ${item}.txt\n      outs:\n      - models/each-${item}.${suffix}\n"
        "  keyed:\n    foreach:\n      x: {from: a}\n      y: {from: b}\n    do:\n      wdir: ${folder}\n"
        "      cmd: cp ../${item.from}.txt keyed-${key}\n      outs:\n      - keyed-${key}:\n          cache: true\n"
        "  grid:\n    matrix:\n      left: [a, b]\n      right: [1, true]\n"
        "    cmd: cp ${item.left}.txt models/grid-${key}\n    outs:\n    - models/grid-${item.left}-${item.right}\n"
        "  placed:\n    wdir: ${deep.er.place}\n    cmd: cp ../../a.txt placed\n    deps:\n    - ../../a.txt\n"
        "    outs:\n    - placed\n"
        "  numbered:\n    foreach: [{n: a}]\n    do:\n      cmd: cp ${item.n}.txt ${folder}/n${size}\n"
        "      outs:\n      - ${folder}/n${size}\n"
        "  own:\n    vars:\n    - own.yaml:kept\n    - place: &place models\n"
        "    cmd: cp a.txt ${place}/own-${kept.name}-${kept.list[1]}${size}\n"
        "    outs:\n    - ${place}/own-${kept.name}-${kept.list[1]}${size}\n",
    )
    repo.write("models/deep/.keep", "")
    run(repo, "model-v1", 1, a="a 1\n", b="b 1\n", c="c 1\n")
    repo.write("params.yaml", "names: [a, b]\nfolder: models\ndeep: {er: {place: models/deep}}\n")
    (repo.path / "models/each-c.bin").unlink()
    run(repo, "model-v2", 2, a="a 2\n")


ALWAYS = {
    *("models/each-a.bin", "models/each-b.bin", "models/keyed-x", "models/keyed-y", "models/deep/placed", "models/n2"),
    *("models/grid-a-1", "models/grid-a-true", "models/grid-b-1", "models/grid-b-true", "models/own-x-q2"),
}


def test_templates_are_resolved_as_dvc_does(fresh: Fresh) -> None:
    """`foreach`, `matrix`, `${...}` in paths and in `wdir` give the outs that DVC itself lists at each tag."""
    from dvc.repo import Repo as Dvc

    repo = fresh("templates", templates)
    mine = modelctl.Repository(repo.path)
    for tag, more in (("model-v1", {"models/each-c.bin"}), ("model-v2", set())):
        shown = mine.show(tag)
        assert shown.problems == ()
        assert {pointer.path for pointer in shown.pointers} == ALWAYS | more
        with Dvc(str(repo.path), rev=tag) as dvc:
            listed = {(str(out), out.hash_info.value) for out in dvc.index.outs}
        assert {(pointer.path, pointer.md5) for pointer in shown.pointers} == listed


def test_rollback_over_templates(fresh: Fresh) -> None:
    """A rollback brings back the out of an item that `foreach` has lost since, and undo removes it again."""
    repo = fresh("templates", templates)
    done = there_and_back(repo, "v1")
    assert {out.path: out.action for out in done.outs}["models/each-c.bin"] == "add"


def test_item_that_foreach_no_longer_has_is_dead(fresh: Fresh) -> None:
    """`dvc.lock` keeps the entry of an item that `foreach` has lost; its out is no part of the release."""
    repo = fresh("templates", templates)
    assert b"each@c" in repo.read("dvc.lock")
    assert "models/each-c.bin" not in {p.path for p in modelctl.Repository(repo.path).show("v2").pointers}


def test_uncommitted_params_decide_in_the_workspace(fresh: Fresh) -> None:
    """What the workspace declares follows its own `params.yaml`, committed or not."""
    repo = fresh("templates", templates)
    repo.write("params.yaml", "names: [a]\nfolder: models\ndeep: {er: {place: models/deep}}\n")
    (model,) = modelctl.Repository(repo.path).status().models
    assert model.release is None


def test_unknown_variable_is_a_problem_of_its_stage(fresh: Fresh) -> None:
    """A `wdir` with a variable that is nowhere makes the release unreadable, with the reason, and no other."""
    repo = fresh("templates", templates)
    text = repo.read("dvc.yaml").decode().replace("${deep.er.place}", "${nowhere}")
    repo.write("dvc.yaml", text)
    repo.commit("Broken", 3)
    repo.tag("model-v3", day=3)
    assert row(repo, "model-v3").bytes == "not readable"
    assert "stage placed: wdir '${nowhere}' names a variable" in row(repo, "model-v3").why
    assert row(repo, "model-v2").bytes == "cached"
    error = refused(repo, Integrity, "model-v3")
    assert "${nowhere}" in error.message
    assert modelctl.Repository(repo.path).rollback("v2").changed


def test_items_that_git_does_not_have(fresh: Fresh) -> None:
    """Where `foreach` takes its items from a file that Git does not have, the lock alone says which there are."""
    repo = fresh("templates", templates)
    repo.git("rm", "-q", "--cached", "params.yaml")
    text = repo.read("dvc.yaml").decode().replace("${deep.er.place}", "models/deep").replace("${folder}", "models")
    repo.write("dvc.yaml", text)
    repo.write(".gitignore", "params.yaml\n")
    repo.dvc("repro", "-q")
    repo.commit("Items elsewhere", 3)
    repo.tag("model-v3", day=3)
    mine = modelctl.Repository(repo.path)
    assert {p.path for p in mine.show("v3").pointers} == ALWAYS | {"models/each-c.bin"}
    assert mine.show("v3").problems == ()


ALIASES = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
AXES = {axis: list(range(200)) for axis in "abc"}
BOMBS = {
    "matrix": f"stages:\n  fit:\n    matrix: {AXES}\n    cmd: x\n    outs: [models/m]\n",
    "aliases": f"a0: &a0 [x]\n{ALIASES}stages:\n  fit:\n    foreach: *a39\n    do: {{cmd: x, outs: ['models/m']}}\n",
    "vars": f"vars: [{{big: {list(range(9000))}}}]\nstages:\n  fit:\n    foreach: ${{big}}\n    do:\n      cmd: x\n"
    "      outs: {a: '${big}', b: '${big}'}\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_expansion_out_of_all_proportion(fresh: Fresh, kind: str) -> None:
    """A `dvc.yaml` that expands to more than any pipeline has is refused before it costs memory or time."""
    repo = fresh("stale", stale)
    repo.write("dvc.yaml", BOMBS[kind])
    repo.commit("Bomb", 3)
    repo.tag("model-v3", day=3)
    assert row(repo, "model-v3").bytes == "not readable"
    assert "dvc.yaml" in refused(repo, Integrity, "v3").message
    assert modelctl.Repository(repo.path).rollback("v2").changed


def stale(repo: Repo) -> None:
    """A stage that was renamed, and one that a `.dvc` file took over, leave their entries in the lock."""
    repo.write("models/.keep", "")
    repo.write("dvc.yaml", "stages:\n" + stage("old", cmd="cp data.txt models/old.bin", outs="models/old.bin"))
    run(repo, "model-v1", 1, data="one\n")
    repo.write("dvc.yaml", "stages:\n" + stage("new", cmd="cp data.txt models/new.bin", outs="models/new.bin"))
    (repo.path / "models/old.bin").unlink()
    run(repo, "model-v2", 2, data="two\n")


def test_stale_lock_entries_are_no_models(fresh: Fresh) -> None:
    """An entry of `dvc.lock` whose stage `dvc.yaml` no longer has is no out of the release."""
    repo = fresh("stale", stale)
    assert b"old:" in repo.read("dvc.lock")
    mine = modelctl.Repository(repo.path)
    assert [p.path for p in mine.show("v2").pointers] == ["models/new.bin"]
    changes = mine.diff("v1", "v2").models
    assert {(c.kind, c.path) for c in changes} == {("removed", "models/old.bin"), ("added", "models/new.bin")}
    done = there_and_back(repo, "v1")
    assert {(out.action, out.path) for out in done.outs} == {("add", "models/old.bin"), ("remove", "models/new.bin")}


def test_lock_without_its_yaml_declares_nothing(fresh: Fresh) -> None:
    """When `dvc.yaml` is gone, what its lock still says is dead."""
    repo = fresh("stale", stale)
    repo.git("rm", "-q", "dvc.yaml")
    repo.commit("No pipeline", 3)
    repo.tag("model-v3", day=3)
    assert row(repo, "model-v3").bytes == "not restorable"
    assert "DVC tracks nothing" in refused(repo, NotFound, "v3").message


def test_unparsable_pipeline_is_said_of_its_release(fresh: Fresh) -> None:
    """A `dvc.yaml` that is no YAML makes its release unreadable; list, show, diff and status go on."""
    repo = fresh("stale", stale)
    repo.write("dvc.yaml", "stages:\n  new: [unclosed\n")
    repo.commit("Broken", 3)
    repo.tag("model-v3", day=3)
    mine = modelctl.Repository(repo.path)
    assert [row.bytes for row in mine.releases()] == ["not readable", "cached", "cached"]
    assert "dvc.yaml is not readable YAML" in row(repo, "model-v3").why
    assert any("dvc.yaml" in problem for problem in mine.show("v3").problems)
    assert any("dvc.yaml" in problem for problem in mine.diff("v2", "v3").problems)
    assert any("dvc.yaml" in problem for problem in mine.status().problems)
    assert "not readable" in refused(repo, Integrity, "v3").message
    mine.rollback("v2")
    assert_settled(repo)


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock"])
def test_conflict_in_a_pipeline(fresh: Fresh, name: str) -> None:
    """Conflict markers that were committed in `dvc.yaml` or `dvc.lock` are named for what they are."""
    repo = fresh("stale", stale)
    text = repo.read(name).decode()
    repo.write(name, f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> topic\n")
    repo.commit("Merged in a hurry", 3)
    repo.tag("model-v3", day=3)
    assert (row(repo, "model-v3").bytes, row(repo, "model-v3").why) == ("not readable", "it holds Git conflict markers")
    assert "conflict markers" in refused(repo, Integrity, "v3").message
    modelctl.Repository(repo.path).rollback("v2")
    assert_settled(repo)


def moves(repo: Repo) -> None:
    """The same bytes by a `.dvc` file, then by a stage, then at another path; the last release has new ones."""
    track(repo, "models/m.bin", b"same\n")
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    repo.git("rm", "-q", "--cached", "models/m.bin.dvc")
    (repo.path / "models/m.bin.dvc").unlink()
    repo.write("dvc.yaml", "stages:\n" + stage("fit", cmd="cp data.txt models/m.bin", outs="models/m.bin"))
    run(repo, "model-v2", 2, data="same\n")
    repo.write("dvc.yaml", "stages:\n" + stage("fit", cmd="cp data.txt models/n.bin", outs="models/n.bin"))
    (repo.path / "models/m.bin").unlink()
    run(repo, "model-v3", 3, data="same\n")
    repo.write("data.txt", "other\n")
    run(repo, "model-v4", 4, data="other\n")


def test_model_that_moves_from_a_dvc_file_to_a_stage(fresh: Fresh) -> None:
    """The same bytes at the same path are unchanged, whatever names them, and both releases can be gone to."""
    repo = fresh("moves", moves)
    mine = modelctl.Repository(repo.path)
    assert [(c.kind, c.path) for c in mine.diff("v1", "v2").models] == [("unchanged", "models/m.bin")]
    there_and_back(repo, "v1")
    there_and_back(repo, "v2")


def test_model_that_moves_to_another_path(fresh: Fresh) -> None:
    """The same bytes at another path are moved, not removed and added, and a rollback moves them back."""
    repo = fresh("moves", moves)
    mine = modelctl.Repository(repo.path)
    (change,) = mine.diff("v2", "v3").models
    assert (change.kind, change.old_path, change.path) == ("moved", "models/m.bin", "models/n.bin")
    mine.rollback("v3")
    assert_settled(repo)
    mine.rollback("v2")
    assert_settled(repo)
    assert not (repo.path / "models/n.bin").exists()
    assert repo.read("models/m.bin") == b"same\n"


def test_models_only_cannot_cross_from_a_stage_to_a_dvc_file(fresh: Fresh) -> None:
    """Where the pointer changed its kind, taking the model alone back is refused with what to do instead."""
    repo = fresh("moves", moves)
    error = refused(repo, Refused, "v1", models_only=True)
    assert error.hint == "leave out --models-only"


def flags(repo: Repo) -> None:
    """Outs that Git holds, that nobody holds, that were never run, and that live on a remote of their own."""
    repo.dvc("remote", "add", "-q", "second", "../second")
    repo.write(
        "dvc.yaml",
        "stages:\n  fit:\n    cmd: >-\n      cp data.txt models/m.bin && cp data.txt models/far.bin &&\n"
        "      cp data.txt models/report.txt && cp data.txt models/scratch.txt\n    deps:\n    - data.txt\n    outs:\n"
        "    - models/m.bin\n    - models/far.bin:\n        remote: second\n"
        "    - models/report.txt:\n        cache: false\n    - models/scratch.txt:\n        cache: false\n",
    )
    repo.write("models/.keep", "")
    repo.write(".gitignore", "scratch.txt\n")
    for number in (1, 2):
        run(repo, f"model-v{number}", number, data=f"{number}\n")
        repo.dvc("push", "-q")


def test_outs_that_dvc_does_not_cache(fresh: Fresh) -> None:
    """An out with `cache: false` goes with Git when Git has it, and is left alone and said so when nobody has it."""
    repo = fresh("flags", flags)
    mine = modelctl.Repository(repo.path)
    why = {pointer.path: pointer.why for pointer in mine.show("v1").pointers}
    assert why == {
        "models/m.bin": None,
        "models/far.bin": None,
        "models/report.txt": "not cached by DVC (cache: false)",
        "models/scratch.txt": "not cached by DVC (cache: false)",
    }
    assert row(repo, "model-v1").bytes == "cached"
    mine.rollback("v1")
    assert repo.read("models/report.txt") == b"1\n"
    assert repo.read("models/scratch.txt") == b"2\n"
    assert repo.git("status", "--porcelain") == ""
    (only,) = (line for line in repo.dvc("status").splitlines() if "models/" in line)
    assert only.split() == ["modified:", "models/scratch.txt"]
    mine.undo()
    assert_settled(repo)


def test_out_with_a_remote_of_its_own(fresh: Fresh) -> None:
    """An out that names a remote is fetched from that one."""
    repo = fresh("flags", flags)
    assert len(list((repo.path.parent / "second").rglob("*"))) > 0
    repo.drop_cache()
    done = modelctl.Repository(repo.path).rollback("v1")
    assert done.fetched_objects == 1
    assert repo.read("models/far.bin") == b"1\n"


def test_stage_that_was_never_run(fresh: Fresh) -> None:
    """A stage without an entry in the lock has no bytes: its out is no part of the release that could be restored."""
    repo = fresh("flags", flags)
    more = stage("later", cmd="cp data.txt models/later.bin", outs="models/later.bin")
    repo.write("dvc.yaml", repo.read("dvc.yaml").decode() + more)
    repo.commit("Not run", 3)
    repo.tag("model-v3", day=3)
    there_and_back(repo, "v1", "models/m.bin", "models/far.bin")
    assert {p.path for p in modelctl.Repository(repo.path).show("v3").pointers} == {
        *("models/m.bin", "models/far.bin", "models/report.txt", "models/scratch.txt")
    }


def frozen_lock_1(repo: Repo) -> None:
    """A release whose `dvc.lock` is DVC 1.x's, flat; and one of today."""
    repo.write("models/.keep", "")
    repo.write("dvc.yaml", "stages:\n" + stage("fit", cmd="cp data.txt models/m.bin", outs="models/m.bin"))
    repo.write("data.txt", "one\n")
    repo.write("models/m.bin", "one\n")
    repo.write("models/.gitignore", "/m.bin\n")
    out = f"  outs:\n  - path: models/m.bin\n    md5: {md5(b'one')}\n"
    repo.write("dvc.lock", f"fit:\n  cmd: cp data.txt models/m.bin\n{out}")
    repo.commit("model-v1", 1)
    repo.tag("model-v1", day=1)
    (repo.path / "dvc.lock").unlink()
    run(repo, "model-v2", 2, data="two\n")
    run(repo, "model-v3", 3, data="three\n")


def test_lock_of_dvc_1(fresh: Fresh) -> None:
    """A flat `dvc.lock`, which DVC 3 refuses altogether, makes that release unreadable and no other."""
    repo = fresh("lock-of-dvc-1", frozen_lock_1)
    assert [row.bytes for row in modelctl.Repository(repo.path).releases()] == ["cached", "cached", "not readable"]
    said = "dvc.lock was written by DVC 1.x, which DVC 3 no longer reads"
    assert row(repo, "model-v1").why == said
    assert refused(repo, Integrity, "v1").message == f"model-v1 is not readable: {said}"
    before = picture(repo)
    assert modelctl.Repository(repo.path).diff("v1", "v2").problems == (f"dvc.lock: {said}",)
    assert picture(repo) == before
    assert modelctl.Repository(repo.path).rollback().target == "v2"
    with pytest.raises(NotFound, match="no earlier release"):
        modelctl.Repository(repo.path).rollback()
