"""Do seeds that are trained as one network say so, and are they still paired with their baselines?"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pdsearch.search.confirm import finalists
from pdsearch.search.confirmations import confirmations
from pdsearch.specs import StudentSpec, TrialSpec
from tests.search.played import DESCRIBE, ledger, run_one, searching, space

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Twelve trials of three teachers."""
    kept = ledger(space(tmp_path_factory.mktemp("confirmations"), search=searching(sampler="random")))
    return [run_one(kept) for _ in range(12)]


def all_of(_spec: TrialSpec, _shape: StudentSpec, seeds: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
    return dict.fromkeys(seeds, tuple(seeds))


def test_every_seed_names_those_beside_it_and_pairs_stay_pairs(records: list[dict[str, Any]]) -> None:
    chosen, dense = finalists(records, teachers=2, metric="student.val_accuracy", maximize=True)
    found = [*chosen, *dense]
    alone = list(confirmations(found, seeds=3, describe=DESCRIBE))
    together = list(confirmations(found, seeds=3, describe=DESCRIBE, together=all_of))
    assert {job.spec.distill.replicas for job in alone} == {()}
    assert {job.spec.distill.replicas for job in together} == {SEEDS}
    assert [DESCRIBE.config(job.spec) for job in together] == [DESCRIBE.config(job.spec) for job in alone]
    assert [job.baselines for job in together] == [job.baselines for job in alone]
    assert not {job.key for job in alone} & {job.key for job in together}
    assert [job.spec.distill.seed for job in together] == sorted(SEEDS * (len(together) // 3))
