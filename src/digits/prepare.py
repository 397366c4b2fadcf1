"""Write the training and the test set of handwritten digits to data/digits.npz.

The same parameters give the same bytes. The test labels are always right: `mislabelled` spoils training
labels only, so that a model made from them is measurably bad.
"""

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DIGITS = 10
BRIGHTEST = 16

Labels = NDArray[np.int64]


def mislabel(labels: Labels, fraction: float, seed: int) -> Labels:
    """A copy of `labels` in which `fraction` of them, chosen by `seed`, name another digit."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(labels), size=round(fraction * len(labels)), replace=False)
    spoiled = labels.copy()
    spoiled[chosen] = (spoiled[chosen] + random.integers(1, DIGITS, size=len(chosen))) % DIGITS
    return spoiled


def main() -> None:
    """Run the stage, from params.yaml to data/digits.npz."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["prepare"]
    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        images / BRIGHTEST,
        labels.astype(np.int64),
        test_size=params["test_fraction"],
        random_state=params["seed"],
        stratify=labels,
    )
    y_train = mislabel(y_train, params["mislabelled"], params["seed"])
    target = Path("data/digits.npz")
    target.parent.mkdir(exist_ok=True)
    np.savez_compressed(target, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


if __name__ == "__main__":
    main()
