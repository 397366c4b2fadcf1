"""Score models/digits.skops on the test set: metrics.json and plots/confusion.csv.

A model file is not trusted because it is ours: skops builds only the types that it knows to be harmless and
those listed here.
"""

import csv
import json
from pathlib import Path

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, f1_score, recall_score

ALLOWED = frozenset({"sklearn.neural_network._stochastic_optimizers.AdamOptimizer"})

Labels = NDArray[np.int64]


def load_model(path: Path) -> BaseEstimator:
    """The model in `path`; raises SystemExit when it asks for a type that is not allowed."""
    content = path.read_bytes()
    asked = skops.io.get_untrusted_types(data=content)
    refused = sorted(set(asked) - ALLOWED)
    if refused:
        raise SystemExit(f"error: {path} asks for types that are not allowed: {', '.join(refused)}")
    return skops.io.loads(content, trusted=asked)


def score(actual: Labels, predicted: Labels) -> dict[str, object]:
    """Accuracy, macro F1, and for each digit the share of its images that were recognised."""
    recognised = recall_score(actual, predicted, average=None)
    return {
        "accuracy": round(float(accuracy_score(actual, predicted)), 4),
        "f1_macro": round(float(f1_score(actual, predicted, average="macro")), 4),
        "class_accuracy": {str(digit): round(float(share), 4) for digit, share in enumerate(recognised)},
    }


def dump_confusion(path: Path, actual: Labels, predicted: Labels) -> None:
    """Write one line for each test image, as DVC's confusion template reads it."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["actual", "predicted"])
        writer.writerows(zip(actual.tolist(), predicted.tolist(), strict=True))


def main() -> None:
    """Run the stage, from the model and the test set to metrics and plot."""
    model = load_model(Path("models/digits.skops"))
    with np.load("data/digits.npz", allow_pickle=False) as data:
        actual, predicted = data["y_test"], model.predict(data["x_test"])
    metrics = json.dumps(score(actual, predicted), indent=2)
    Path("metrics.json").write_text(metrics + "\n", encoding="utf-8")
    dump_confusion(Path("plots/confusion.csv"), actual, predicted)


if __name__ == "__main__":
    main()
