"""`.dvc/config`, settings and DVC's own files that differ from tag to tag."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

import modelctl
from modelctl import Unavailable
from tests.handmade import assert_settled, picture, refused, release, row, there_and_back
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]


def config(*, remote: str | None = None, cache: str | None = None) -> str:
    """The text of a `.dvc/config`; the remote is called after its folder."""
    text = ""
    if remote:
        text += f"[core]\n    remote = {remote}\n['remote \"{remote}\"']\n    url = ../../{remote}\n"
    return text + (f"[cache]\n    dir = {cache}\n" if cache else "")


def move_remote(repo: Repo, name: str) -> None:
    """Have everything that was pushed on the remote `name` alone."""
    (repo.path.parent / "remote").rename(repo.path.parent / name)
    (repo.path.parent / "remote").mkdir()


def four_remotes(repo: Repo) -> None:
    """No remote at first, then three one after the other, each with the bytes of its own time."""
    for number, name in enumerate((None, "first", "second", "third"), 1):
        repo.write(".dvc/config", config(remote=name))
        release(repo, f"model-v{number}", f"model {number}\n".encode(), day=number)
        move_remote(repo, name or "nowhere")


@pytest.fixture
def remotes(fresh: Fresh) -> Repo:
    return fresh("four-remotes", four_remotes)


def test_remotes_that_change_between_tags(remotes: Repo) -> None:
    """What today's remote lacks is fetched from the place that the tag's own configuration names."""
    remotes.drop_cache()
    mine = modelctl.Repository(remotes.path)
    for name, data in (("v3", b"model 3\n"), ("v2", b"model 2\n")):
        done = mine.deploy(name)
        assert done.fetched_objects == 1
        assert remotes.read("models/model.bin") == data
        assert_settled(remotes)


def test_no_remote_at_an_early_tag(remotes: Repo) -> None:
    """A release from before there was a remote is rolled back to from the cache."""
    there_and_back(remotes, "v1")


def test_bytes_that_no_remote_has(remotes: Repo) -> None:
    """When neither cache, today's remote nor the tag's has the bytes, nothing changes and the object is named."""
    remotes.drop_cache()
    error = refused(remotes, Unavailable, "v1")
    assert "models/model.bin" in error.message
    assert row(remotes, "model-v1").bytes == "missing"


def test_todays_remote_is_used_at_an_early_tag(remotes: Repo) -> None:
    """While HEAD is at a tag without a remote, objects still come from the remote of the branch that was left."""
    mine = modelctl.Repository(remotes.path)
    mine.rollback("v1")
    assert remotes.git("status", "--porcelain") == ""
    remotes.drop_cache()
    assert mine.deploy("v4").fetched_objects == 1
    assert_settled(remotes)


def cache_moves(repo: Repo) -> None:
    """The cache is in its usual place at v1, and in a shared folder outside the clone from v2 on."""
    release(repo, "model-v1", b"model 1\n", day=1)
    shutil.move(repo.path / ".dvc/cache", repo.path.parent / "common")
    repo.write(".dvc/config", config(remote="remote", cache="../../common"))
    for number in (2, 3):
        release(repo, f"model-v{number}", f"model {number}\n".encode(), day=number)
        shutil.copytree(repo.path / ".dvc/cache", repo.path.parent / "common", dirs_exist_ok=True)
        shutil.rmtree(repo.path / ".dvc/cache")


def test_cache_in_another_place(fresh: Fresh) -> None:
    """With `cache.dir` the objects are found, and added, where today's configuration has them."""
    repo = fresh("cache-moves", cache_moves)
    assert {row.bytes for row in modelctl.Repository(repo.path).releases()} == {"cached"}
    there_and_back(repo, "v2")
    (repo.path.parent / "common").rename(repo.path.parent / "gone")
    done = modelctl.Repository(repo.path).rollback("v2")
    assert done.fetched_objects == 1
    assert len(list((repo.path.parent / "common/files/md5").rglob("*/*"))) >= 1
    assert not (repo.path / ".dvc/cache").exists()


def test_tag_without_the_shared_cache(fresh: Fresh) -> None:
    """At a tag from before `cache.dir` today's cache still serves, and DVC, which looks into its own, agrees."""
    repo = fresh("cache-moves", cache_moves)
    before = picture(repo)
    mine = modelctl.Repository(repo.path)
    assert mine.rollback("v1").fetched_objects == 0
    assert repo.read("models/model.bin") == b"model 1\n"
    assert repo.git("status", "--porcelain") == ""
    assert "up to date" in repo.dvc("status")
    shutil.rmtree(repo.path.parent / "remote")
    assert {row.bytes for row in mine.releases()} == {"cached"}
    mine.undo()
    assert picture(repo) == before


def test_local_configuration(fresh: Fresh) -> None:
    """`.dvc/config.local` is obeyed, survives a rollback and is never looked for in Git."""
    repo = fresh("cache-moves", cache_moves)
    repo.write(".dvc/config.local", "[cache]\n    type = symlink\n")
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2")
    assert (repo.path / "models/model.bin").is_symlink()
    assert repo.read(".dvc/config.local") == b"[cache]\n    type = symlink\n"
    assert mine.status().link_types == ("symlink", "copy")
    mine.rollback("v1")
    assert mine.status().link_types == ("symlink", "copy")


def settings_come_late(repo: Repo) -> None:
    """Plain tags, and settings that only the branch of today has."""
    for number in (1, 2, 3):
        repo.write("metrics.json", f'{{"accuracy": 0.{number}, "loss": {number}}}\n')
        repo.write("dvc.yaml", "metrics:\n- metrics.json\n")
        release(repo, f"v{number}.0", f"model {number}\n".encode(), "weights/model.bin", day=number)
    repo.write("modelctl.toml", 'tag_format = "v{version}"\nmetrics = ["loss"]\n[models]\nnet = ["weights"]\n')
    repo.commit("Settings", 4)


def test_settings_survive_a_rollback(fresh: Fresh) -> None:
    """At a tag that has no settings those of the branch that was left still hold, for the next rollback too."""
    repo = fresh("settings-come-late", settings_come_late)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2.0")
    assert not (repo.path / "modelctl.toml").exists()
    assert [(row.version, row.metrics) for row in mine.releases()] == [
        (f"v{n}.0", {"accuracy": float(f"0.{n}"), "loss": n}) for n in (3, 2, 1)
    ]
    (model,) = mine.status().models
    assert (model.model, model.release, model.exact) == ("net", "v2.0", True)
    assert mine.rollback().target == "v1.0"
    assert_settled(repo)
    mine.undo()
    mine.undo()
    assert repo.branch() == "main"
    assert_settled(repo)


def test_settings_of_a_branch_that_is_gone(fresh: Fresh) -> None:
    """When the branch that was left has been deleted, its settings are read from the commit that it was at."""
    repo = fresh("settings-come-late", settings_come_late)
    repo.git("checkout", "-q", "-b", "topic")
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2.0")
    repo.git("branch", "-q", "-D", "topic")
    assert [row.version for row in mine.releases()] == ["v3.0", "v2.0", "v1.0"]


def test_settings_in_pyproject(fresh: Fresh) -> None:
    """`[tool.modelctl]` in `pyproject.toml` serves as well, and survives a rollback as well."""
    repo = fresh("settings-come-late", settings_come_late)
    repo.git("mv", "modelctl.toml", "pyproject.toml")
    text = '[project]\nname = "x"\n[tool.modelctl]\ntag_format = "v{version}"\nmodels = {net = "weights"}\n'
    repo.write("pyproject.toml", text)
    repo.commit("Settings moved", 5)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2.0")
    assert [row.version for row in mine.releases()] == ["v3.0", "v2.0", "v1.0"]
    assert mine.status().models[0].model == "net"


def test_uncommitted_settings_are_used(fresh: Fresh) -> None:
    """Settings in the working tree count before they are committed."""
    repo = fresh("settings-come-late", settings_come_late)
    repo.write("modelctl.toml", 'tag_format = "{version}"\n[models]\nother = ["weights/model.bin"]\n')
    (model,) = modelctl.Repository(repo.path).status().models
    assert model.model == "other"


@pytest.mark.parametrize(
    "text", ["tag_format = 5\n", "unknown = 1\n", "not toml", '[models]\nx = ["/etc"]\n', 'models = "x"\n']
)
def test_broken_settings_are_named(fresh: Fresh, text: str) -> None:
    """Settings that cannot be read fail every command with the file and the reason."""
    repo = fresh("settings-come-late", settings_come_late)
    repo.write("modelctl.toml", text)
    with pytest.raises(modelctl.ModelctlError, match=r"modelctl\.toml|relative path") as caught:
        modelctl.Repository(repo.path).releases()
    assert caught.value.exit_code in {2, 4}


def dvc_ignores(repo: Repo) -> None:
    """`.dvc/.gitignore` is not in Git at v1, a long one of an older DVC at v2, and DVC's own of today at v3."""
    today = repo.read(".dvc/.gitignore")
    repo.write(".git/info/exclude", "/.dvc/.gitignore\n/.dvc/cache\n/.dvc/tmp\n")
    repo.git("rm", "-q", "--cached", ".dvc/.gitignore")
    release(repo, "model-v1", b"model 1\n", day=1)
    repo.write(".git/info/exclude", "")
    repo.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n/plots\n/experiments\n")
    release(repo, "model-v2", b"model 2\n", day=2)
    repo.write(".dvc/.gitignore", today)
    release(repo, "model-v3", b"model 3\n", day=3)


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_dvc_rewrites_its_gitignore(fresh: Fresh, name: str) -> None:
    """DVC run at the tag re-creates or rewrites `.dvc/.gitignore`, and the way back is open all the same."""
    repo = fresh("dvc-ignores", dvc_ignores)
    today = repo.read(".dvc/.gitignore")
    mine = modelctl.Repository(repo.path)
    before = picture(repo)
    mine.rollback(name)
    repo.dvc("status")
    repo.write(".dvc/.gitignore", today)
    assert repo.git("status", "--porcelain") != ""
    mine.undo()
    assert picture(repo) == before
    assert repo.read(".dvc/.gitignore") == today


def test_gitignore_with_lines_of_the_user(fresh: Fresh) -> None:
    """A `.dvc/.gitignore` that holds lines of the user's own is not taken for DVC's, and is in the way."""
    repo = fresh("dvc-ignores", dvc_ignores)
    mine = modelctl.Repository(repo.path)
    mine.rollback("v2")
    repo.write(".dvc/.gitignore", "/mine\n")
    with pytest.raises(modelctl.Refused, match=r"\.dvc/\.gitignore"):
        mine.undo()


def test_dvc_run_where_there_was_no_dvc(fresh: Fresh) -> None:
    """DVC run by hand at a tag from before its adoption leaves files behind that are in no switch's way."""
    repo = fresh("no-dvc-at-first", no_dvc_at_first)
    repo.git("checkout", "-q", "v0.1")
    repo.try_dvc("status")
    repo.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    mine = modelctl.Repository(repo.path)
    mine.deploy("v1")
    assert repo.read("models/model.bin") == b"model 1\n"
    assert_settled(repo)


def no_dvc_at_first(repo: Repo) -> None:
    repo.write("README", "before DVC\n")
    repo.git("add", "README")
    repo.git("commit", "-q", "-m", "Before DVC")
    repo.tag("v0.1")
    for number in (1, 2):
        release(repo, f"model-v{number}", f"model {number}\n".encode(), day=number)
