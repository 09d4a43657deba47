"""Importance of the searched parameters for the student's accuracy, estimated from finished trials."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pdsearch.analysis.study_table import Row

_LEAST = 20
_FOLDS = 5
_TREES = 100
_SHUFFLES = 10
_SEED = 0

Matrix: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """Permutation importance of one parameter.

    Args:
        parameter: Its dotted name.
        share: Its share of the sum of losses of fit when each parameter is shuffled, in [0, 1]; all sum to 1 or are 0.
    """

    parameter: str
    share: float


@dataclass(frozen=True)
class Importances:
    """Importances of all parameters.

    Args:
        found: Most important first; empty where they cannot be estimated.
        trials: Number of complete search trials used.
        r2: Share of the accuracy's variance that a forest explains on held-out trials; None if there are too few.
        reason: Why there are none.
    """

    found: tuple[Importance, ...]
    trials: int
    r2: float | None = None
    reason: str | None = None


def importances(rows: Sequence[Row]) -> Importances:
    """Return the importance of each searched parameter for validation accuracy.

    A random forest (Breiman, 2001) is fitted to the complete search trials, and each parameter's values are shuffled
    among held-out trials (5 folds): the resulting loss of fit is the parameter's importance. Trials that were stopped
    early are left out, because their accuracies are those of fewer epochs: the result holds for the better part of the
    space.
    """
    used = [row for row in sorted(rows, key=lambda row: row.id) if _counts(row)]
    names, columns = _columns([row.record.params for row in used])
    if len(used) < _LEAST:
        return Importances(
            (), len(used), reason=f"{len(used)} complete trials are too few: {_LEAST} or more can tell"
        )
    if not names:
        return Importances((), len(used), reason="nothing varied")
    values = np.array([row.val_accuracy for row in used])
    if float(values.std()) == 0.0:
        return Importances((), len(used), reason="all trials are equally good")
    r2, losses = _held_out(columns, values)
    if r2 <= 0:
        return Importances(
            (), len(used), r2, "accuracies of unseen trials cannot be told from the parameters"
        )
    losses = np.clip(losses, 0.0, None)
    shares = losses / losses.sum() if losses.sum() > 0 else losses
    found = sorted(map(Importance, names, map(float, shares)), key=lambda item: (-item.share, item.parameter))
    return Importances(tuple(found), len(used), r2)


def _counts(row: Row) -> bool:
    # Infeasible trials that were trained to the end are as informative as complete ones.
    whole = row.state in ("complete", "infeasible")
    return row.kind == "search" and whole and row.val_accuracy is not None


def _columns(params: Sequence[Mapping[str, object]]) -> tuple[list[str], list[Matrix]]:
    """Return the parameters that varied, and the numeric encoding of each, (trials, 1 or choices)."""
    names = sorted({name for found in params for name in found})
    varied = [name for name in names if len({json.dumps(found.get(name)) for found in params}) > 1]
    return varied, [_numbers([found.get(name) for found in params]) for name in varied]


def _numbers(values: Sequence[Any]) -> Matrix:
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        # A missing value is encoded below all others, so that a tree can split it off.
        apart = min(known) - 1.0 - abs(max(known))
        return np.array([[apart if value is None else float(value)] for value in values])
    texts = [json.dumps(value) for value in values]
    return np.array([[float(text == choice) for choice in sorted(set(texts))] for text in texts])


def _held_out(columns: Sequence[Matrix], values: Matrix) -> tuple[float, Matrix]:
    """Return R² on held-out trials, and its decrease by shuffling each parameter."""
    # Imported here because it takes seconds and rankings do not need it.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    inputs = np.concatenate(columns, axis=1)
    ends = np.cumsum([column.shape[1] for column in columns])
    generator = np.random.default_rng(_SEED)
    total, error, losses = float(((values - values.mean()) ** 2).sum()), 0.0, np.zeros(len(columns))
    for train, test in KFold(_FOLDS, shuffle=True, random_state=_SEED).split(inputs):
        forest = RandomForestRegressor(_TREES, random_state=_SEED, min_samples_leaf=2).fit(
            inputs[train], values[train]
        )
        unseen, truth = inputs[test], values[test]
        plain = float(((forest.predict(unseen) - truth) ** 2).sum())
        error += plain
        for place, end in enumerate(ends):
            start = end - columns[place].shape[1]
            # One prediction for all shuffles: predicting many rows costs a forest little more than few.
            shuffled = np.repeat(unseen[None], _SHUFFLES, axis=0)
            for copy in shuffled:
                copy[:, start:end] = generator.permutation(unseen[:, start:end], axis=0)
            guessed = forest.predict(shuffled.reshape(-1, unseen.shape[1])).reshape(_SHUFFLES, -1)
            losses[place] += float(((guessed - truth) ** 2).sum()) / _SHUFFLES - plain
    return 1 - error / total, losses / total
