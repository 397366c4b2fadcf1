"""Fit the classifier that params.yaml asks for and write it to models/digits.skops.

The skops format holds no pickles. skops names the arrays in it by their address in memory and dates every
entry, so that no two files are equal; here both are made constant. The same data and parameters on the same
machine give the same bytes, and DVC sees that nothing has changed.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
import yaml
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)

Settings = Mapping[str, Any]


def logistic(settings: Settings, seed: int) -> BaseEstimator:
    """Multinomial logistic regression; a small C makes a plain, weak model."""
    return LogisticRegression(C=settings["C"], max_iter=1000, random_state=seed)


def svc(settings: Settings, seed: int) -> BaseEstimator:
    """Support vector machine with the radial kernel."""
    return SVC(C=settings["C"], gamma=settings["gamma"], random_state=seed)


def mlp(settings: Settings, seed: int) -> BaseEstimator:
    """Fully connected network with the given hidden layers."""
    return MLPClassifier(tuple(settings["hidden"]), max_iter=settings["max_iter"], random_state=seed)


KINDS: Mapping[str, Callable[[Settings, int], BaseEstimator]] = {"logistic": logistic, "svc": svc, "mlp": mlp}


def nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Every node of a skops schema, in the order of the file."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for child in tree:
            yield from nodes(child)


def reproducible(model: bytes) -> bytes:
    """The same skops archive with ids and entry names counted from 0, and every entry dated 1980."""
    source = zipfile.ZipFile(io.BytesIO(model))
    schema = json.loads(source.read(SCHEMA))
    ids: dict[int, int] = {}
    names: dict[str, str] = {}
    for node in nodes(schema):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = ids.setdefault(node["__id__"], len(ids))
        if isinstance(node.get("file"), str):
            node["file"] = names.setdefault(node["file"], f"{len(names)}{Path(node['file']).suffix}")
    entries = {new: source.read(old) for old, new in names.items()}
    entries[SCHEMA] = json.dumps(schema, indent=2).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return target.getvalue()


def main() -> None:
    """Run the stage, from data/digits.npz to models/digits.skops."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["train"]
    kind = params["kind"]
    model = KINDS[kind](params[kind], params["seed"])
    with np.load("data/digits.npz", allow_pickle=False) as data:
        model.fit(data["x_train"], data["y_train"])
    target = Path("models/digits.skops")
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(reproducible(skops.io.dumps(model)))


if __name__ == "__main__":
    main()
