"""A part of `python -m benchmarks.fuzz`: whatever a space file holds, it is a space or refused, and soon."""

import time
from pathlib import Path

from benchmarks.fuzz import read
from tests.config.mutations import mutant

FILES, FIRST = 300, 100_000


def test_a_mutant_is_a_space_or_refused(tmp_path: Path) -> None:
    file, ends = tmp_path / "space.yaml", []
    import pdsearch.models.torchvision  # noqa: F401 - loaded once, by the first file that names it

    for number in range(FIRST, FIRST + FILES):
        file.write_bytes(mutant(number))
        start = time.process_time()
        ends.append(read(file))
        assert ends[-1] in ("accepted", "refused"), f"mutant {number}: {ends[-1]}"
        assert time.process_time() - start < 1, f"mutant {number} takes too long"
    assert 0.02 < ends.count("accepted") / FILES < 0.5


def test_a_mutant_follows_from_its_number() -> None:
    assert mutant(7) == mutant(7)
    assert mutant(7) != mutant(8)
    assert mutant(7, seed=1) != mutant(7)
