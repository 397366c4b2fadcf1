"""Tags as real repositories have them: of every form, in any order, on any commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import modelctl
from modelctl import NotFound, Usage
from tests.handmade import assert_settled, refused, release, row, there_and_back, track
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]
OUTSIDE = ("v1.2.0", "v1.3-ray-cpu", "2024-assessment-year", "final_submission", "v", "vtest", "v0.1")


def many_tags(repo: Repo) -> None:
    """A repository of some years: DVC came later, and every team named tags in its own way."""
    repo.write("README", "before DVC\n")
    repo.git("add", "README")
    repo.git("commit", "-q", "-m", "Before DVC")
    repo.tag("v0.1", annotated=False)
    repo.tag("model-v0.0.1", annotated=False)
    names = [
        *("model-v0.9", "model-v0.10", "model-v1.0.0-rc2", "model-v1.0.0-rc1", "model-v1.0.0-rc10"),
        *("v1.2.0", "v1.3-ray-cpu", "2024-assessment-year", "final_submission", "v", "vtest"),
        *("churn@v1.0.0#1", "model-v1.2", "model-v1.2.3.4"),
    ]
    for day, name in enumerate(names, 1):
        track(repo, "models/model.bin", f"{name}\n".encode())
        repo.commit(name, day)
        repo.tag(name, annotated=day % 2 == 0, day=day)


@pytest.fixture
def tags(fresh: Fresh) -> Repo:
    return fresh("many-tags", many_tags)


def test_only_names_with_a_version_are_listed(tags: Repo) -> None:
    """Without a setting the list keeps to the two built-in forms and passes over every other tag."""
    listed = {row.tag for row in modelctl.Repository(tags.path).releases()}
    assert listed == {
        *("model-v0.0.1", "model-v0.9", "model-v0.10", "model-v1.2", "model-v1.2.3.4", "churn@v1.0.0#1"),
        *("model-v1.0.0-rc1", "model-v1.0.0-rc2", "model-v1.0.0-rc10"),
    }


def test_versions_order_by_number(tags: Repo) -> None:
    """0.10 follows 0.9, rc10 follows rc2, and a candidate that was tagged later still comes before."""
    rows = modelctl.Repository(tags.path).releases("model")
    assert [row.version for row in rows] == [
        *("v1.2.3.4", "v1.2", "v1.0.0-rc10", "v1.0.0-rc2", "v1.0.0-rc1", "v0.10", "v0.9", "v0.0.1"),
    ]


def test_bare_rollback_follows_numbers_not_dates(tags: Repo) -> None:
    """From rc10 a bare rollback goes to rc2, then to rc1 although that tag is newer, then to 0.10 and 0.9."""
    mine = modelctl.Repository(tags.path)
    mine.deploy("v1.0.0-rc10")
    (tags.path / ".git/modelctl/history.jsonl").unlink()
    assert [mine.rollback().target for _ in range(4)] == ["v1.0.0-rc2", "v1.0.0-rc1", "v0.10", "v0.9"]
    assert refused(tags, NotFound, None).message == "there is no earlier release with another model"


@pytest.mark.parametrize("name", ["v1.2.0", "v1.3-ray-cpu", "2024-assessment-year", "final_submission", "v"])
def test_any_tag_is_good_in_full(tags: Repo, name: str) -> None:
    """A tag of whatever form can be shown, compared, gone to and come back from, when it is named in full."""
    mine = modelctl.Repository(tags.path)
    assert mine.show(name).release.tag == name
    assert mine.show(name).release.bytes == "cached"
    (changed,) = mine.diff("model-v0.9", name).models
    assert (changed.kind, changed.path) == ("changed", "models/model.bin")
    done = there_and_back(tags, name)
    assert done.tag == name


@pytest.mark.parametrize("name", ["churn@v1.0.0#1", "v0.10", "0.9", "model-v1.0.0-rc1", "churn@v1.0.0", "v1.2.3.4"])
def test_releases_have_short_names(tags: Repo, name: str) -> None:
    """A release is found by its version, with or without its model, whatever kind of tag it is."""
    there_and_back(tags, name)


def test_status_names_a_tag_outside_the_formats(tags: Repo) -> None:
    """At a tag that is no release by name, status says that tag."""
    mine = modelctl.Repository(tags.path)
    mine.rollback("2024-assessment-year")
    (model,) = mine.status().models
    assert (model.release, model.tag, model.exact) == ("2024-assessment-year", "2024-assessment-year", True)


def test_tag_format_adds_plain_versions(tags: Repo) -> None:
    """With `tag_format` plain versions are releases too, four-part and suffixed ones included; words are not."""
    tags.write("modelctl.toml", 'tag_format = "{version}"\n')
    tags.commit("Settings", 40)
    listed = {row.tag: row.version for row in modelctl.Repository(tags.path).releases()}
    assert listed["v1.2.0"] == "v1.2.0"
    assert listed["v1.3-ray-cpu"] == "v1.3-ray-cpu"
    assert listed["v0.1"] == "v0.1"
    assert listed["model-v0.9"] == "v0.9"
    assert not {"v", "vtest", "final_submission"} & listed.keys()
    there_and_back(tags, "1.3-ray-cpu")


def test_two_forms_of_one_version_are_ambiguous(tags: Repo) -> None:
    """`1.2` is refused while both `v1.2` and `model-v1.2` are releases of other commits; full names are not."""
    tags.write("modelctl.toml", 'tag_format = "{version}"\n')
    tags.commit("Settings", 40)
    tags.tag("v1.2", day=41)
    assert "model-v1.2, v1.2" in refused(tags, Usage, "1.2").message
    assert refused(tags, Usage, "v1.2").hint == "name one in full: refs/tags/v1.2 or model-v1.2"
    there_and_back(tags, "model-v1.2")
    assert modelctl.Repository(tags.path).rollback("refs/tags/v1.2").commit == tags.head()


@pytest.mark.parametrize(
    ("name", "near"),
    [("v0.11", "v0.10"), ("v2", "v1.2.3.4"), ("vtst", "vtest"), ("2024-assesment-year", "2024-assessment-year")],
)
def test_a_name_that_matches_nothing_gets_the_nearest(tags: Repo, name: str, near: str) -> None:
    """An unknown version gets the versions around it, and a misspelt tag the tags that look like it."""
    error = refused(tags, NotFound, name)
    assert near in error.hint
    assert "modelctl list" in error.hint


def test_tag_older_than_dvc_is_refused(tags: Repo) -> None:
    """A tag from before DVC is listed as not restorable, and a rollback to it is refused, whole commit or not."""
    assert row(tags, "model-v0.0.1").bytes == "not restorable"
    for name in ("model-v0.0.1", "v0.1"):
        assert modelctl.Repository(tags.path).show(name).pointers == ()
        for everything in (False, True):
            error = refused(tags, NotFound, name, everything=everything)
            assert "DVC tracks nothing" in error.message
            assert error.hint == f"git switch --detach {name}   # takes its code, and no model"


def test_a_diff_with_a_tag_older_than_dvc_has_the_model_added(tags: Repo) -> None:
    """Compared with a commit from before DVC, the model is new."""
    (change,) = modelctl.Repository(tags.path).diff("v0.1", "v0.9").models
    assert (change.kind, change.path) == ("added", "models/model.bin")


def test_bare_rollback_passes_over_tags_older_than_dvc(tags: Repo) -> None:
    """A release that has no model is never the one before."""
    mine = modelctl.Repository(tags.path)
    mine.deploy("v0.9")
    (tags.path / ".git/modelctl/history.jsonl").unlink()
    assert refused(tags, NotFound, None).message == "there is no earlier release with another model"


def three_small(repo: Repo) -> None:
    for day, number in enumerate((1, 2, 3), 1):
        release(repo, f"model-v{number}", f"model {number}\n".encode(), day=day)


def test_release_on_no_branch(fresh: Fresh) -> None:
    """A release commit that no branch holds is as good as any, and undo returns to the branch."""
    repo = fresh("three-small", three_small)
    repo.git("checkout", "-q", "--detach")
    release(repo, "model-v2.1", b"a fix of 2\n", day=9)
    repo.git("checkout", "-q", "main")
    repo.dvc("checkout", "-q")
    there_and_back(repo, "v2.1")
    assert repo.branch() == "main"
    assert [row.version for row in modelctl.Repository(repo.path).releases()] == ["v3", "v2.1", "v2", "v1"]


def test_branch_of_the_same_name_as_the_tag(fresh: Fresh) -> None:
    """A branch that bears the tag's name is never taken for the release."""
    repo = fresh("three-small", three_small)
    repo.git("branch", "model-v1", "main")
    repo.git("branch", "v1", "main")
    done = there_and_back(repo, "v1")
    assert done.commit == repo.git("rev-parse", "refs/tags/model-v1^{commit}")
    there_and_back(repo, "model-v1")


def test_a_branch_is_no_release(fresh: Fresh) -> None:
    """A branch's name alone is not a release, and the nearest tags are named instead."""
    repo = fresh("three-small", three_small)
    repo.git("branch", "model-v7", "model-v1")
    error = refused(repo, NotFound, "model-v7")
    assert error.message == "model has no release v7"
    assert "v3" in error.hint


def test_several_tags_on_one_commit(fresh: Fresh) -> None:
    """Tags of one commit are each a release, status names the others, and no word for them is ambiguous."""
    repo = fresh("three-small", three_small)
    for name in ("model-v2.0.0", "prod", "model@v2.0.0"):
        repo.tag(name, annotated=name != "prod", at="model-v2^{commit}")
    mine = modelctl.Repository(repo.path)
    there_and_back(repo, "v2.0.0")
    there_and_back(repo, "prod")
    mine.rollback("model-v2")
    (model,) = mine.status().models
    assert model.tag == "model-v2"
    assert set(model.same_as) == {"model-v2.0.0", "model@v2.0.0"}
    assert not mine.rollback("v2.0.0").changed
    assert mine.rollback().target == "v1"


def test_a_tag_of_a_tag(fresh: Fresh) -> None:
    """`git tag -a NEW OLD` makes a tag of a tag, and it leads to the same release."""
    repo = fresh("three-small", three_small)
    repo.tag("model-v1.9", at="model-v1")
    assert repo.git("cat-file", "-p", "model-v1.9").splitlines()[1] == "type tag"
    done = there_and_back(repo, "v1.9")
    assert done.commit == repo.git("rev-parse", "model-v1^{commit}")


def test_a_tag_of_something_else_is_no_release(fresh: Fresh) -> None:
    """A tag of a file, such as a public key, is passed over in the list and refused as a release."""
    repo = fresh("three-small", three_small)
    repo.tag("model-v9", at="HEAD:models/model.bin.dvc")
    assert [row.version for row in modelctl.Repository(repo.path).releases()] == ["v3", "v2", "v1"]
    assert refused(repo, NotFound, "v9").hint.startswith("nearest are")


def same_bytes(repo: Repo) -> None:
    for day, (version, data) in enumerate([("1", b"a\n"), ("2", b"b\n"), ("3", b"b\n"), ("4", b"b\n")], 1):
        repo.write("code.py", f"# {version}\n")
        release(repo, f"model-v{version}", data, day=day)


def test_bare_rollback_passes_over_identical_bytes(fresh: Fresh) -> None:
    """Of several releases with the same bytes a bare rollback takes none: it goes to another model."""
    repo = fresh("same-bytes", same_bytes)
    mine = modelctl.Repository(repo.path)
    (model,) = mine.status().models
    assert model.release == "v4"
    assert set(model.same_as) == {"model-v3", "model-v2"}
    (change,) = mine.diff("v4", "v2").models
    assert change.kind == "unchanged"
    done = there_and_back(repo, "v3")
    assert done.outs == ()
    assert mine.rollback().target == "v1"
    assert_settled(repo)


def gto_directories(repo: Repo) -> None:
    """Two projects in folders of one DVC repository, each with an artifact `churn`."""
    for folder in ("north", "south"):
        repo.write(f"{folder}/dvc.yaml", "artifacts:\n  churn:\n    path: model.bin\n    type: model\n")
    for day, version in enumerate(("v1.0.0", "v1.1.0"), 1):
        for folder in ("north", "south"):
            track(repo, f"{folder}/model.bin", f"{folder} {version}\n".encode())
        repo.commit(version, day)
        for folder in ("north", "south"):
            repo.tag(f"{folder}=churn@{version}", day=day)


def test_directory_form_of_gto(fresh: Fresh) -> None:
    """`north=churn@v1.0.0` is about the model of that folder alone."""
    repo = fresh("gto-directories", gto_directories)
    mine = modelctl.Repository(repo.path)
    assert {row.tag for row in mine.releases()} == {
        *("north=churn@v1.0.0", "north=churn@v1.1.0", "south=churn@v1.0.0", "south=churn@v1.1.0")
    }
    assert [pointer.path for pointer in mine.show("north=churn@v1.0.0").pointers] == ["north/model.bin"]
    assert "south/churn" in refused(repo, modelctl.Refused, "north=churn@v1.0.0").message
    assert "south=churn@v1.0.0" in refused(repo, Usage, "churn@v1.0.0").message
    there_and_back(repo, "north=churn@v1.0.0", everything=True)
    mine.rollback("south=churn@v1.0.0", models_only=True)
    assert repo.git("status", "--porcelain") == "M south/model.bin.dvc"
    assert repo.read("south/model.bin") == b"south v1.0.0\n"
    assert repo.read("north/model.bin") == b"north v1.1.0\n"
    assert {(m.model, m.tag) for m in mine.status().models} == {
        ("north/churn", "north=churn@v1.1.0"),
        ("south/churn", "south=churn@v1.0.0"),
    }


def test_deregistered_versions(fresh: Fresh) -> None:
    """A version that GTO deregistered is not listed until it is registered again, and can be named in full."""
    repo = fresh("three-small", three_small)
    for day, name in enumerate(["model@v1.0.0", "model@v1.0.0!", "model@v1.0.0#2"], 10):
        repo.tag(name, day=day, at="model-v1^{commit}")
        listed = {row.tag for row in modelctl.Repository(repo.path).releases()}
        assert ("model@v1.0.0" in listed) is (day == 10)
        assert ("model@v1.0.0#2" in listed) is (day == 12)
    there_and_back(repo, "model@v1.0.0")


def test_no_release_yet(fresh: Fresh) -> None:
    """Without a tag the list is empty, status says that the model is of no release, and a rollback says what to do."""
    repo = fresh("no-release", lambda new: None)
    track(repo, "models/model.bin", b"first\n")
    repo.commit("First", 1)
    mine = modelctl.Repository(repo.path)
    assert mine.releases() == ()
    (model,) = mine.status().models
    assert (model.release, model.exact) == (None, True)
    assert refused(repo, NotFound, "v1").message == "no release v1: this clone has no tags"
    assert "no release" in refused(repo, NotFound, None).message
    with pytest.raises(NotFound, match="no switch to undo"):
        mine.undo()


def test_only_unusual_tags(fresh: Fresh) -> None:
    """Where no tag is a release by name the list is empty and any of them still works in full."""
    repo = fresh("three-small", three_small)
    for name in ("model-v1", "model-v2", "model-v3"):
        repo.tag(f"sprint {name[-1]}".replace(" ", "_"), annotated=False, at=f"{name}^{{commit}}")
        repo.git("tag", "-d", name)
    assert modelctl.Repository(repo.path).releases() == ()
    there_and_back(repo, "sprint_2")
