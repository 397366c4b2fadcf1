"""Several models in one repository, each rolled back without taking the others along unless that is meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import modelctl
from modelctl import NotFound, Refused, Usage
from tests.handmade import assert_settled, picture, refused, row, there_and_back, track
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]

ARTIFACTS = """\
artifacts:
  churn:
    path: models/churn.bin
    type: model
    desc: who leaves
    labels: [tabular]
  fraud:
    path: models/fraud
    type: model
  text:
    path: README
    type: model
  table:
    path: data/table.csv
    type: dataset
"""


def two_models(repo: Repo) -> None:
    """Two models with two releases each, every commit changing both and the code."""
    repo.write("dvc.yaml", ARTIFACTS)
    for number in (1, 2):
        repo.write("README", f"{number}\n")
        track(repo, "models/churn.bin", f"churn {number}\n".encode())
        track(repo, "models/fraud", {"a": f"fraud {number}\n".encode(), "b": b"same\n"})
        track(repo, "data/table.csv", f"table {number}\n".encode())
        repo.commit(f"Both {number}", number)
        for name in ("churn", "fraud"):
            repo.tag(f"{name}@v{number}.0.0", day=number)
        repo.tag(f"model-v{number}", day=number)


@pytest.fixture
def two(fresh: Fresh) -> Repo:
    return fresh("two-models", two_models)


def test_models_are_what_artifacts_declare(two: Repo) -> None:
    """Each artifact of the type model is one, with the release that it is; other types are not."""
    mine = modelctl.Repository(two.path)
    found = {m.model: m.release for m in mine.status().models}
    assert found == {"churn": "v2.0.0", "fraud": "v2.0.0", "text": None}
    assert [row.tag for row in mine.releases("churn")] == ["churn@v2.0.0", "churn@v1.0.0"]
    assert {p.path for p in mine.show("churn@v1.0.0").pointers} == {"models/churn.bin"}
    with pytest.raises(NotFound, match="no release of table"):
        mine.releases("table")


def test_one_of_several_models_is_refused_unless_said(two: Repo) -> None:
    """A rollback of one model that would take another back names it, and both ways out."""
    error = refused(two, Refused, "churn v1.0.0")
    assert error.message == "going to v1.0.0 would take fraud back too (--all allows it, --models-only leaves them)"
    assert error.hint == "modelctl rollback churn v1.0.0 --models-only"
    assert "--all" in error.message


def test_a_version_that_several_models_have_is_ambiguous(two: Repo) -> None:
    """`v1.0.0` alone is refused while two models have it."""
    error = refused(two, Usage, "v1.0.0")
    assert "churn@v1.0.0" in error.message
    assert "fraud@v1.0.0" in error.message


def test_whole_commit(two: Repo) -> None:
    """With `--all` every DVC out of the commit goes along, data included, and undo brings all of it back."""
    done = there_and_back(two, "churn v1.0.0", everything=True)
    assert {out.path for out in done.outs} == {"models/churn.bin", "models/fraud", "data/table.csv"}


def test_release_of_all_models(two: Repo) -> None:
    """A release called `model` is about every model; what DVC tracks beside them is left and named."""
    mine = modelctl.Repository(two.path)
    done = mine.rollback("model-v1")
    assert {out.path for out in done.outs} == {"models/churn.bin", "models/fraud"}
    assert done.left == ("data/table.csv",)
    assert two.git("status", "--porcelain") == ""
    said = two.dvc("status")
    assert "data/table.csv" in said
    assert "models/" not in said
    mine.undo()
    assert_settled(two)


def test_models_only_is_ready_to_commit(two: Repo) -> None:
    """With `--models-only` one pointer differs from HEAD, DVC agrees with it, and the branch stays."""
    mine = modelctl.Repository(two.path)
    before = picture(two)
    done = mine.rollback("churn v1.0.0", models_only=True)
    assert done.files == ("models/churn.bin.dvc",)
    assert two.branch() == "main"
    assert two.git("status", "--porcelain") == "M models/churn.bin.dvc"
    assert two.read("models/churn.bin.dvc") == two.git("show", "model-v1:models/churn.bin.dvc").encode() + b"\n"
    assert two.read("models/churn.bin") == b"churn 1\n"
    assert {m.model: m.release for m in mine.status().models}["churn"] == "v1.0.0"
    assert "up to date" in two.dvc("status")
    two.git("commit", "-q", "-a", "-m", "Back to churn 1")
    assert_settled(two)
    two.git("reset", "-q", "--hard", "HEAD~1")
    two.dvc("checkout", "-q")
    assert picture(two) == before


def test_models_only_and_undo(two: Repo) -> None:
    """Undo of a models-only rollback leaves nothing of it behind, committed or not."""
    mine = modelctl.Repository(two.path)
    before = picture(two)
    mine.rollback("fraud v1.0.0", models_only=True)
    mine.undo()
    assert picture(two) == before
    done = mine.rollback("fraud v1.0.0", models_only=True, commit=True, reason="false alarms")
    assert done.committed == two.head()
    assert "false alarms" in two.git("log", "-1", "--format=%B")
    assert two.git("show", "--name-only", "--format=", "HEAD") == "models/fraud.dvc"
    assert_settled(two)
    mine.undo()
    assert two.read("models/fraud/a") == b"fraud 2\n"
    assert two.git("diff", "HEAD~2", "--name-only") == ""
    assert_settled(two)


def test_bare_rollback_asks_which_model(two: Repo) -> None:
    """Without a name, where several models could be meant, the question is which one."""
    error = refused(two, Usage, None)
    assert error.message.startswith("which model?")
    modelctl.Repository(two.path).rollback("churn", models_only=True)
    assert two.read("models/churn.bin") == b"churn 1\n"


def test_model_that_a_release_does_not_declare(two: Repo) -> None:
    """A tag of a model that its commit does not declare is refused, with what the commit does declare."""
    two.tag("spam@v1.0.0", at="model-v1^{commit}")
    error = refused(two, NotFound, "spam@v1.0.0")
    assert "declares churn, fraud, text" in error.message
    assert row(two, "spam@v1.0.0").bytes == "not restorable"


def test_model_in_git(two: Repo) -> None:
    """A model that Git itself holds is listed as such, and a rollback to it takes its file back with the code."""
    two.tag("text@v1.0.0", at="model-v1^{commit}")
    found = row(two, "text@v1.0.0")
    assert found.bytes == "in git"
    mine = modelctl.Repository(two.path)
    assert mine.show("text@v1.0.0").pointers == ()
    mine.rollback("text@v1.0.0", everything=True)
    assert two.read("README") == b"1\n"
    assert_settled(two)


def test_models_of_the_settings(fresh: Fresh) -> None:
    """Models that the settings name, by file or by folder, are told apart like artifacts."""
    repo = fresh("nothing", lambda new: None)
    repo.write("modelctl.toml", '[models]\nleft = "weights/left.bin"\nright = ["weights/right", "other/right.bin"]\n')
    for number in (1, 2):
        track(repo, "weights/left.bin", f"{number}\n".encode())
        track(repo, "weights/right/a.bin", f"a {number}\n".encode())
        track(repo, "other/right.bin", f"b {number}\n".encode())
        repo.commit(str(number), number)
        repo.tag(f"left-v{number}", day=number)
        repo.tag(f"right-v{number}", day=number)
    mine = modelctl.Repository(repo.path)
    assert {p.path for p in mine.show("right-v1").pointers} == {"weights/right/a.bin", "other/right.bin"}
    assert "right" in refused(repo, Refused, "left-v1").message
    mine.rollback("right-v1", models_only=True)
    assert {m.model: m.release for m in mine.status().models} == {"left": "v2", "right": "v1"}
    assert repo.git("status", "--porcelain").splitlines() == ["M other/right.bin.dvc", " M weights/right/a.bin.dvc"]


STAGES = """\
stages:
  churn:
    cmd: cp churn.txt models/churn.bin && cp churn.txt churn-scores.json
    deps: [churn.txt]
    params: [depth]
    outs: [models/churn.bin]
    metrics:
    - churn-scores.json:
        cache: false
  fraud:
    cmd: cp fraud.txt models/fraud.bin
    deps: [fraud.txt]
    outs: [models/fraud.bin]
artifacts:
  churn: {path: models/churn.bin, type: model}
  fraud: {path: models/fraud.bin, type: model}
"""


def two_stages(repo: Repo) -> None:
    repo.write("dvc.yaml", STAGES)
    repo.write("models/.keep", "")
    for number in (1, 2):
        repo.write("params.yaml", f"depth: {number}\n")
        for name in ("churn", "fraud"):
            repo.write(f"{name}.txt", f'{{"{name}": {number}}}\n')
        repo.dvc("repro", "-q")
        repo.commit(f"Both {number}", number)
        for name in ("churn", "fraud"):
            repo.tag(f"{name}@v{number}.0.0", day=number)


def entry(lock: str, name: str) -> str:
    """The lines of one stage in a lock."""
    lines = lock.splitlines(keepends=True)
    start = lines.index(f"  {name}:\n")
    end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith("   ")), len(lines))
    return "".join(lines[start:end])


@pytest.mark.parametrize("name", ["churn", "fraud"])
def test_models_only_splices_the_lock(fresh: Fresh, name: str) -> None:
    """One stage's entry is the old one, to the byte, the rest is today's, and DVC names the deps that differ."""
    repo = fresh("two-stages", two_stages)
    mine = modelctl.Repository(repo.path)
    before = picture(repo)
    now, then = repo.read("dvc.lock").decode(), repo.git("show", "churn@v1.0.0:dvc.lock") + "\n"
    done = mine.rollback(f"{name} v1.0.0", models_only=True)
    assert repo.read("dvc.lock").decode() == now.replace(entry(now, name), entry(then, name))
    assert repo.read(f"models/{name}.bin").decode() == f'{{"{name}": 1}}\n'
    assert done.notes == (f"stage {name} keeps today's code, params and data: dvc status names what differs",)
    said = repo.dvc("status")
    assert f"{name}.txt" in said
    assert "models/" not in said
    assert ("depth" in said) is (name == "churn")
    other = "fraud" if name == "churn" else "churn"
    assert f"{other}:" not in said
    assert {m.model: m.release for m in mine.status().models} == {name: "v1.0.0", other: "v2.0.0"}
    mine.undo()
    assert picture(repo) == before
    assert_settled(repo)


def test_models_only_brings_the_metrics_of_its_stage(fresh: Fresh) -> None:
    """Metrics of the stage that Git holds come along, so that they are those of the model."""
    repo = fresh("two-stages", two_stages)
    modelctl.Repository(repo.path).rollback("churn v1.0.0", models_only=True, commit=True)
    assert repo.read("churn-scores.json") == b'{"churn": 1}\n'
    assert repo.git("show", "--name-only", "--format=", "HEAD").split() == ["churn-scores.json", "dvc.lock"]
    assert repo.git("status", "--porcelain") == ""
    there_and_back(repo, "fraud v1.0.0", "models/fraud.bin", everything=True)


def test_models_only_where_the_stage_is_gone(fresh: Fresh) -> None:
    """When today's pipeline no longer has the stage, the pointer cannot be expressed, which is said."""
    repo = fresh("two-stages", two_stages)
    text = repo.read("dvc.yaml").decode()
    repo.write("dvc.yaml", text.replace("  churn:\n    cmd", "  renamed:\n    cmd"))
    repo.dvc("repro", "-q")
    repo.commit("Renamed", 3)
    before = picture(repo)
    with pytest.raises(Refused, match="no longer has the stage churn"):
        modelctl.Repository(repo.path).rollback("churn v1.0.0", models_only=True)
    assert picture(repo) == before


def test_pipelines_in_folders_with_artifacts(fresh: Fresh) -> None:
    """Artifacts of a `dvc.yaml` in a folder are found relative to it and shown with the folder."""
    repo = fresh("nothing", lambda new: None)
    for number in (1, 2):
        for folder in ("a", "b"):
            repo.write(f"{folder}/dvc.yaml", "artifacts:\n  net: {path: out/net.bin, type: model}\n")
            track(repo, f"{folder}/out/net.bin", f"{folder} {number}\n".encode())
        repo.commit(str(number), number)
        repo.tag(f"net@v{number}.0.0", day=number)
    assert {m.model for m in modelctl.Repository(repo.path).status().models} == {"a/net", "b/net"}
    there_and_back(repo, "v1.0.0")
