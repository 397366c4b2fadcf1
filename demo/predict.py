"""Ask the model that is live for the digits on images that it was not trained on, as a service would.

The right answers come from scikit-learn, not from the repository, so a model made from spoiled data
cannot hide it.
"""

import sys
from pathlib import Path

import yaml
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

sys.path.insert(0, "src")
from digits.evaluate import load_model


def main() -> None:
    """Print how many answers were right."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["prepare"]
    images, labels = load_digits(return_X_y=True)
    _, unseen, _, actual = train_test_split(
        images / 16, labels, test_size=params["test_fraction"], random_state=params["seed"], stratify=labels
    )
    predicted = load_model(Path("models/digits.skops")).predict(unseen)
    right = int((predicted == actual).sum())
    print(f"{right} of {len(actual)} images read correctly ({right / len(actual):.1%})")


if __name__ == "__main__":
    main()
