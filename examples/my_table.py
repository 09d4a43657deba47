"""Rows of a table from an .npz file: `python my_table.py` writes it, `pdsearch run my_table.yaml` searches on it."""

import numpy as np
from sklearn.datasets import load_wine
from torch import nn


def write(path: str = "wine.npz") -> None:
    """Write scikit-learn's wines, 178 rows of 13 measurements in 3 classes; a test set is to be cut off."""
    wine = load_wine()
    np.savez(path, x=wine.data, y=wine.target, classes=wine.target_names)


def mlp(*, num_classes: int, input_shape: tuple[int], width: int = 64) -> nn.Module:
    """Return a network of three linear layers.

    Args:
        num_classes: Width of the logits.
        input_shape: (columns,).
        width: Of the two hidden layers.
    """
    (columns,) = input_shape
    return nn.Sequential(
        *(
            nn.Linear(columns, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, num_classes),
        )
    )


if __name__ == "__main__":
    write()
