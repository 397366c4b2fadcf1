"""`release`: the opposite of forgetting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modelctl
from modelctl import Integrity, NotFound, Refused, Unavailable, Usage
from modelctl.domain.bindings import format_binding, parse_binding
from tests.repos import Repo, make_repo


def new_model(repo: Repo, text: str = "model 4\n", *, commit: bool = True) -> None:
    """Train, as it were: new bytes, tracked and committed, not pushed."""
    repo.write("models/model.bin", text)
    repo.dvc("add", "-q", "models/model.bin")
    if commit:
        repo.commit("Model 4", 4)


def refused(repo: Repo, error: type[modelctl.ModelctlError], *args: str) -> modelctl.ModelctlError:
    """Assert that a release raises `error` and leaves neither repository with anything new."""
    before = (repo.git("for-each-ref"), repo.git("ls-remote", "origin"))
    with pytest.raises(error) as caught:
        modelctl.Repository(repo.path).release(*args)
    assert (repo.git("for-each-ref"), repo.git("ls-remote", "origin")) == before
    return caught.value


def test_release_pushes_proves_tags_and_pushes_again(repo: Repo) -> None:
    """A release has every object on the DVC remote, and branch and annotated tag on the Git remote."""
    new_model(repo)
    done = modelctl.Repository(repo.path).release("v4", message="Better on 3 and 8")
    assert done.tag == "model-v4"
    assert done.objects == 6
    assert done.pushed_objects == 1
    assert {f"files/md5/{out.oid[:2]}/{out.oid[2:]}" for out in done.outs} <= set(repo.on_remote())
    there = repo.git("ls-remote", "origin")
    assert f"{repo.head()}\trefs/heads/main" in there
    assert f"{repo.git('rev-parse', 'model-v4')}\trefs/tags/model-v4" in there
    assert repo.git("cat-file", "-t", "model-v4") == "tag"


def test_tag_binds_the_bytes(repo: Repo) -> None:
    """The tag's trailers bind model, version, paths, MD5, SHA-256 and size, and plain Git reads them."""
    new_model(repo)
    modelctl.Repository(repo.path).release("v4")
    message = repo.git("tag", "-l", "--format=%(contents)", "model-v4")
    parsed = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=message + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Modelctl-Model: model" in parsed.stdout
    binding = parse_binding(message)
    assert binding is not None
    file = next(out for out in binding.outs if out.path == "models/model.bin")
    said = subprocess.run(
        ["sha256sum", repo.path / "models/model.bin"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert (file.sha256, file.size) == (said, len("model 4\n"))
    folder = next(out for out in binding.outs if out.path == "models/dir")
    text = subprocess.run(
        "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum",
        shell=True, cwd=repo.path / "models/dir", capture_output=True, text=True, check=True,
    ).stdout.split()[0]  # fmt: skip
    assert folder.sha256 == text
    assert parse_binding(format_binding(binding)) == binding


def test_another_clone_restores_what_was_released(repo: Repo) -> None:
    """What is released can be rolled back to from a clone that has nothing but the two remotes."""
    new_model(repo)
    modelctl.Repository(repo.path).release("v4")
    other = repo.clone("other")
    mine = modelctl.Repository(other.path)
    assert [release.bytes for release in mine.releases()] == ["missing"] * 4
    mine.rollback("v1")
    mine.deploy("v4")
    assert other.read("models/model.bin") == b"model 4\n"
    other.assert_clean()
    assert mine.verify("v4").releases[0].bound


def test_bytes_that_differ_from_the_pointer_are_refused(repo: Repo) -> None:
    """A model that was trained again and not added is named, with what to type."""
    repo.write("models/model.bin", "not added")
    said = refused(repo, Refused, "v4")
    assert "models/model.bin" in said.message
    assert "dvc commit" in said.hint


def test_pointer_that_is_not_committed_is_refused(repo: Repo) -> None:
    """A pointer that is added and not committed is named, with what to type."""
    new_model(repo, commit=False)
    said = refused(repo, Refused, "v4")
    assert "models/model.bin.dvc is not committed" in said.message
    assert "git commit" in said.hint


def test_version_that_exists_is_refused(repo: Repo) -> None:
    """A version that another commit has is not moved."""
    new_model(repo)
    assert "exists already" in refused(repo, Refused, "v3").message


def test_word_that_is_no_version_is_a_usage_error(repo: Repo) -> None:
    """`release latest` says what a version looks like."""
    assert "v1.2.0" in refused(repo, Usage, "latest").hint


def test_unreachable_dvc_remote_makes_no_tag(repo: Repo) -> None:
    """When objects cannot be pushed nothing is tagged."""
    new_model(repo)
    remote = repo.path.parent / "remote"
    remote.rename(remote.with_name("gone"))
    remote.write_text("not a folder")
    refused(repo, Unavailable, "v4")


def test_no_dvc_remote_is_said(repo: Repo) -> None:
    """Without a DVC remote nothing can be proved, and the line to type is given."""
    repo.dvc("remote", "remove", "store")
    new_model(repo)
    assert "dvc remote add" in refused(repo, Unavailable, "v4").hint


def test_corrupt_cache_is_not_released(repo: Repo) -> None:
    """An object that does not hold what its name says is not pushed as if it did."""
    new_model(repo)
    path = repo.object(_md5(repo))
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    refused(repo, Integrity, "v4")


def test_truncated_object_on_the_remote_is_replaced(repo: Repo) -> None:
    """An object that the remote has with another size is no proof: it is pushed again."""
    new_model(repo)
    oid = _md5(repo)
    there = repo.path.parent / "remote/files/md5" / oid[:2] / oid[2:]
    there.parent.mkdir(exist_ok=True)
    there.write_bytes(b"mod")
    modelctl.Repository(repo.path).release("v4")
    assert there.read_bytes() == b"model 4\n"


def test_two_clones_at_once_have_one_winner(repo: Repo) -> None:
    """Of two clones that release the same version one wins; the other is told and left without the tag."""
    other = repo.clone("other")
    other.dvc("remote", "modify", "--local", "store", "url", str(repo.path.parent / "remote"))
    other.dvc("pull", "-q")
    new_model(other, "another model 4\n")
    other.git("push", "-q", "origin", "HEAD:refs/heads/side")
    other.git("switch", "-q", "-c", "side")
    new_model(repo)
    modelctl.Repository(repo.path).release("v4")
    said = refused(other, Refused, "v4")
    assert "exists already" in said.message
    assert "git fetch" in said.hint
    assert "model-v4" not in other.git("tag")


def test_push_that_the_server_refuses_takes_the_tag_away(repo: Repo) -> None:
    """When a hook of the Git server refuses the push, neither side has the tag, and the branch did not move."""
    hook = repo.path.parent / "git.git/hooks/update"
    hook.write_text("#!/bin/sh\ncase $1 in refs/tags/*) echo no tags here >&2; exit 1;; esac\n")
    hook.chmod(0o755)
    new_model(repo)
    refused(repo, Unavailable, "v4")


def test_branch_behind_the_remote_is_refused(repo: Repo) -> None:
    """When the remote's branch has newer commits, nothing is forced."""
    other = repo.clone("other")
    other.write("readme", "newer")
    other.commit("newer")
    other.git("push", "-q", "origin", "main")
    new_model(repo)
    assert "git pull" in refused(repo, Refused, "v4").hint


def test_release_that_was_cut_off_is_done_again(repo: Repo) -> None:
    """A release killed between tag and push is completed by the same command."""
    new_model(repo)
    assert repo.modelctl("release", "v4", env={"MODELCTL_FAULT": "git.push:before:1:KILL"}).code == -9
    assert "model-v4" not in repo.git("ls-remote", "origin")
    done = modelctl.Repository(repo.path).release("v4")
    assert done.existed
    assert "model-v4" in repo.git("ls-remote", "origin")


def test_without_a_git_remote_the_tag_is_local(repo: Repo) -> None:
    """In a clone without a Git remote the objects are proved and the tag stays here."""
    repo.git("remote", "remove", "origin")
    new_model(repo)
    done = modelctl.Repository(repo.path).release("v4")
    assert done.pushed_to is None
    assert "model-v4" in repo.git("tag")


def test_nothing_to_release_is_said(tmp_path: Path) -> None:
    """A repository without a model says what to type first."""
    repo = make_repo(tmp_path)
    repo.commit("first")
    with pytest.raises(NotFound, match="no model here"):
        modelctl.Repository(repo.path).release("v1")


def test_gto_reads_our_release(repo: Repo) -> None:
    """With GTO's form of tags in the settings, GTO lists what `release` made."""
    repo.write("dvc.yaml", "artifacts:\n  model:\n    path: models/model.bin\n    type: model\n")
    repo.write("modelctl.toml", 'tag_format = "{model}@v{version}"\n')
    new_model(repo)
    done = modelctl.Repository(repo.path).release("1.2.0")
    assert done.tag == "model@v1.2.0"
    said = subprocess.run(
        [str(Path(sys.executable).with_name("gto")), "show", "model@latest", "--ref", "--repo", str(repo.path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "model@v1.2.0" in said.stdout, said.stderr


def _md5(repo: Repo) -> str:
    text = repo.read("models/model.bin.dvc").decode()
    return text.partition("md5: ")[2].split()[0]


def test_users_file_stays_as_it_is(repo: Repo) -> None:
    """Where the workspace has the only copy, the cache gets one of its own and the user's file stays writable."""
    new_model(repo)
    path = repo.path / "models/model.bin"
    repo.object(_md5(repo)).unlink()
    before = (path.stat().st_mode, path.stat().st_ino, path.stat().st_nlink)
    modelctl.Repository(repo.path).release("v4")
    assert (path.stat().st_mode, path.stat().st_ino, path.stat().st_nlink) == before
    assert repo.object(_md5(repo)).read_bytes() == b"model 4\n"
