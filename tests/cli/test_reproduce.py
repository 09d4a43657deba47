"""What `pdsearch reproduce` prints and advises for each result of a reproduction."""

import json
from dataclasses import replace

import pytest

from pdsearch.cli.main import main
from pdsearch.errors import Interrupted
from pdsearch.exporting import reproduction
from pdsearch.exporting.reproduction import Fresh, Reproduction

EQUAL = Reproduction(True, (), {"test_accuracy": (0.91, 0.91)}, 0.01)
NEAR = replace(
    EQUAL, same_bits=False, differs=("torch 2.14, here 2.15",), accuracies={"test_accuracy": (0.91, 0.905)}
)
FAR = replace(NEAR, accuracies={"test_accuracy": (0.91, 0.8)})
OTHER = replace(EQUAL, same_bits=False)
INSIDE = replace(EQUAL, fresh=Fresh("test_accuracy", (1, 2), (0.9, 0.92), 0.91, 1, 0.85, 0.95))
LUCKY = replace(EQUAL, fresh=Fresh("test_accuracy", (1, 2), (0.8, 0.82), 0.91, 3, 0.75, 0.85))


def called(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: Reproduction | Exception,
    *words: str,
) -> tuple[int, str, str]:
    """The exit code and the output of the command, with a result in place of the training."""

    def trained(*_: object, **__: object) -> Reproduction:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(reproduction, "read_export", lambda folder: folder)
    monkeypatch.setattr(reproduction, "reproduce", trained)
    code = main(["reproduce", "best", *words])
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("found", "words", "code", "said"),
    [
        (EQUAL, (), 0, "equal to the bit: every weight"),
        (
            NEAR,
            (),
            0,
            "at most 1.00 points\n  differs: torch 2.14, here 2.15\n  test accuracy: record 91.00 %, again 90.50 %",
        ),
        (FAR, (), 1, "train it with the versions above; --seeds 5 says"),
        (FAR, ("--seeds", "2"), 1, "train it with the versions above\n"),
        (OTHER, (), 1, "an earlier version did not record threads"),
        (
            INSIDE,
            ("--seeds", "2"),
            0,
            "90.00, 92.00 %; the record (test accuracy of 1 student, 91.00 %) lies inside",
        ),
        (LUCKY, ("--seeds", "2"), 1, "luck as well as merit"),
        (EQUAL, ("--seeds", "1"), 2, "expected 0, or at least 2, got 1"),
        (Interrupted("stopped"), (), 130, "stopped; what was trained again is gone"),
        (Interrupted("stopped"), ("--storage", "there"), 130, "stopped"),
    ],
)
def test_each_result_has_its_words_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: Reproduction | Exception,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    got, out, err = called(monkeypatch, capsys, found, *words)
    assert got == code
    assert said in out + err
    assert ("is gone" in err) == (isinstance(found, Interrupted) and not words)


def test_a_program_reads_the_same_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = called(monkeypatch, capsys, LUCKY, "--json")
    told = json.loads(out)
    assert (code, told["reproduced"], told["same_bits"], told["fresh"]["inside"]) == (1, False, True, False)
    assert told["accuracies"] == {"test_accuracy": {"record": 0.91, "again": 0.91}}
