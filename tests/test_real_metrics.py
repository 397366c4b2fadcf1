"""Metrics and params wherever real repositories keep them: in Git, in the cache, in a folder, in three formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import modelctl
from modelctl.domain.changes import ValueChange
from tests.handmade import md5, release, row, track
from tests.repos import Repo

Fresh = Callable[[str, Callable[[Repo], None]], Repo]


def in_every_format(repo: Repo) -> None:
    repo.write("dvc.yaml", "metrics:\n- scores.json\n- more/scores.yaml\n- scores.toml\n")
    for number in (1, 2):
        repo.write("scores.json", json.dumps({"accuracy": number / 10, "nested": {"f1": number}, "same": 1}))
        repo.write("more/scores.yaml", f"recall: {number}e-1\nname: run {number}\nnothing: ~\nyes_no: no\n")
        repo.write("scores.toml", f"precision = 0.{number}\n[by_class]\ncat = {number}\n")
        repo.write("params.yaml", f"lr: 0.{number}\nlayers: [1, {number}]\n")
        release(repo, f"model-v{number}", f"{number}\n".encode(), day=number)


def test_metrics_in_git_in_every_format(fresh: Fresh) -> None:
    """JSON, YAML and TOML give their numbers by dotted name, and only what differs is in the diff."""
    repo = fresh("in-every-format", in_every_format)
    found = row(repo, "model-v1").metrics
    in_json = {"accuracy": 0.1, "nested.f1": 1, "same": 1}
    in_yaml = {"recall": 0.1, "name": "run 1", "nothing": None, "yes_no": "no"}
    assert found == in_json | in_yaml | {"precision": 0.1, "by_class.cat": 1}
    diff = modelctl.Repository(repo.path).diff("v1", "v2")
    assert {c.name for c in diff.metrics} == {"accuracy", "nested.f1", "recall", "name", "precision", "by_class.cat"}
    assert {c.name: (c.old, c.new) for c in diff.params} == {"lr": (0.1, 0.2), "layers": ([1, 1], [1, 2])}
    assert diff.unavailable == {"v1": (), "v2": ()}


def test_metrics_agree_with_dvc(fresh: Fresh) -> None:
    """`dvc metrics diff` of the two tags has the same numbers."""
    repo = fresh("in-every-format", in_every_format)
    theirs = json.loads(repo.dvc("metrics", "diff", "model-v1", "model-v2", "--json"))
    numbers: dict[str, Any] = {name: change for values in theirs.values() for name, change in values.items()}
    for change in modelctl.Repository(repo.path).diff("v1", "v2").metrics:
        if change.difference is not None:
            assert (numbers[change.name]["old"], numbers[change.name]["new"]) == (change.old, change.new)


def cached(repo: Repo) -> None:
    """Metrics that DVC caches, one alone and one in a tracked folder."""
    repo.write("dvc.yaml", "metrics:\n- scores.json\n- reports/test.json\n")
    for number in (1, 2):
        track(repo, "scores.json", json.dumps({"accuracy": number / 10}).encode())
        track(repo, "reports", {"test.json": json.dumps({"loss": number}).encode(), "plot": b"x\n"})
        release(repo, f"model-v{number}", f"{number}\n".encode(), day=number)


def test_cached_metrics(fresh: Fresh) -> None:
    """Metrics that are a cached out, or lie in a tracked folder, are read from the cache."""
    repo = fresh("cached-metrics", cached)
    assert row(repo, "model-v1").metrics == {"accuracy": 0.1, "loss": 1}
    diff = modelctl.Repository(repo.path).diff("v1", "v2")
    assert diff.metrics == (ValueChange("accuracy", 0.1, 0.2), ValueChange("loss", 1, 2))
    assert {c.path for c in diff.data} == {"reports", "scores.json"}


def test_cached_metrics_that_are_not_here(fresh: Fresh) -> None:
    """Metrics whose object is not in the cache are unavailable, which is said and is never "no change"."""
    repo = fresh("cached-metrics", cached)
    repo.drop_cache()
    found = row(repo, "model-v1")
    assert (found.metrics, found.unavailable) == ({}, ("scores.json", "reports/test.json"))
    diff = modelctl.Repository(repo.path).diff("v1", "v2")
    assert diff.metrics == ()
    assert diff.unavailable == dict.fromkeys(("v1", "v2"), ("scores.json", "reports/test.json"))


def test_metrics_of_one_side_that_are_not_here(fresh: Fresh) -> None:
    """When only one side's metrics are here, nothing is said to have appeared or gone."""
    repo = fresh("cached-metrics", cached)
    repo.object(md5(json.dumps({"accuracy": 0.1}).encode())).unlink()
    diff = modelctl.Repository(repo.path).diff("v1", "v2")
    assert diff.metrics == (ValueChange("loss", 1, 2),)
    assert diff.unavailable == {"v1": ("scores.json",), "v2": ()}


def test_metrics_of_a_stage(fresh: Fresh) -> None:
    """Metrics that a stage declares are found with its `wdir`, `cache: false` or cached, templates resolved."""
    repo = fresh("stage-metrics", stage_metrics)
    assert row(repo, "model-v1").metrics == {"accuracy": 1, "f1": 1, "loss": 1}
    (change, *_) = modelctl.Repository(repo.path).diff("v1", "v2").metrics
    assert (change.old, change.new) == (1, 2)


def stage_metrics(repo: Repo) -> None:
    repo.write(
        "train/dvc.yaml",
        "stages:\n  fit:\n    foreach: [a]\n    do:\n      wdir: ..\n"
        "      cmd: cp in.txt models/${item}.bin && cp a.json m1.json && cp b.json m2.json\n"
        "      deps: [in.txt]\n      outs: ['models/${item}.bin']\n"
        "      metrics:\n      - m1.json:\n          cache: false\n      - m2.json\nmetrics:\n- ../top.json\n",
    )
    repo.write("models/.keep", "")
    for number in (1, 2):
        repo.write("in.txt", f"{number}\n")
        for name, key in (("a", "accuracy"), ("b", "f1"), ("top", "loss")):
            repo.write(f"{name}.json", json.dumps({key: number}))
        repo.dvc("repro", "-q", "-P")
        repo.commit(f"model-v{number}", number)
        repo.tag(f"model-v{number}", day=number)


def test_two_files_with_the_same_names(fresh: Fresh) -> None:
    """A name that two files share is told apart by the file."""
    repo = fresh("nothing", lambda new: None)
    repo.write("dvc.yaml", "metrics: [train.json, test.json]\n")
    for name, value in (("train", 1), ("test", 2)):
        repo.write(f"{name}.json", json.dumps({"loss": value, name: value}))
    release(repo, "model-v1", b"1\n")
    assert row(repo, "model-v1").metrics == {"train.json:loss": 1, "test.json:loss": 2, "train": 1, "test": 2}


BROKEN = {
    "no JSON": ("scores.json", b"{"),
    "no UTF-8": ("scores.json", b"\xff\xfe"),
    "a list": ("scores.json", b"[1, 2]"),
    "no YAML": ("scores.yaml", b"a: [1\n"),
    "no TOML": ("scores.toml", b"a =\n"),
    "conflict": ("scores.yaml", b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> topic\n"),
    "huge numbers": ("scores.json", b'{"a": NaN, "b": Infinity, "c": 1e999}'),
    "deep": ("scores.json", b'{"a":' * 3000 + b"1" + b"}" * 3000),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_metrics(fresh: Fresh, kind: str) -> None:
    """Metrics that cannot be read are unavailable, and nothing else of their release is affected."""
    repo = fresh("nothing", lambda new: None)
    name, data = BROKEN[kind]
    repo.write("dvc.yaml", f"metrics: [{name}]\n")
    repo.write(name, data)
    release(repo, "model-v1", b"1\n", day=1)
    repo.write(name, "a = 1\n" if name.endswith("toml") else '{"a": 1}')
    release(repo, "model-v2", b"2\n", day=2)
    mine = modelctl.Repository(repo.path)
    found = row(repo, "model-v1")
    assert found.bytes == "cached"
    if kind in {"a list", "huge numbers"}:
        assert found.unavailable == ()
    else:
        assert (found.metrics, found.unavailable) == ({}, (name,))
    diff = mine.diff("v1", "v2")
    assert all(change.old is not None or change.new == 1 for change in diff.metrics)
    assert mine.show("v1").release.metrics.keys() == found.metrics.keys()
    assert mine.rollback("v1").changed


def test_metrics_that_were_never_written(fresh: Fresh) -> None:
    """A metrics file that is declared and not there is unavailable."""
    repo = fresh("nothing", lambda new: None)
    repo.write("dvc.yaml", "metrics: [scores.json]\n")
    release(repo, "model-v1", b"1\n", day=1)
    assert row(repo, "model-v1").unavailable == ("scores.json",)
