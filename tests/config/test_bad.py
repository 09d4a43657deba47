"""Every bad file earns its message, word for word; whatever a mutation makes of a good one is read or refused."""

import time
from pathlib import Path

import pytest

from benchmarks.fuzz import read
from pdsearch.config import load
from pdsearch.errors import ConfigError
from tests.config.mutations import mutant
from tests.config.parts import CATALOG

BAD = Path(__file__).parent / "bad"
FILES = sorted(path.stem for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigError) as caught:
        load(f"{name}.yaml", catalog=CATALOG)
    assert str(caught.value) + "\n" == (BAD / f"{name}.txt").read_text(encoding="utf-8")


def test_every_message_has_its_file() -> None:
    assert sorted(path.stem for path in BAD.glob("*.txt")) == FILES


@pytest.mark.parametrize("name", FILES)
def test_message_says_where_and_what_to_do(name: str) -> None:
    message = (BAD / f"{name}.txt").read_text(encoding="utf-8")
    assert message.startswith(f"{name}.yaml:")
    assert "->" in message
    assert message.count("\n") <= 23


MUTANTS, FIRST = 300, 100_000


def test_a_mutant_is_a_space_or_refused(tmp_path: Path) -> None:
    file, ends = tmp_path / "space.yaml", []
    import pdsearch.models.torchvision  # noqa: F401 - loaded once, by the first file that names it

    for number in range(FIRST, FIRST + MUTANTS):
        file.write_bytes(mutant(number))
        start = time.process_time()
        ends.append(read(file))
        assert ends[-1] in ("accepted", "refused"), f"mutant {number}: {ends[-1]}"
        assert time.process_time() - start < 1, f"mutant {number} takes too long"
    assert 0.02 < ends.count("accepted") / MUTANTS < 0.5


def test_a_mutant_follows_from_its_number() -> None:
    assert mutant(7) == mutant(7)
    assert mutant(7) != mutant(8)
    assert mutant(7, seed=1) != mutant(7)
