import multiprocessing
import os
from pathlib import Path

import pytest

from pdsearch.artifacts import draft_name
from pdsearch.verify import check_invariants
from tests.faults import scripted_study


def _leave(area: Path) -> None:
    (area / draft_name()).mkdir(parents=True)
    os._exit(0)


@pytest.fixture
def draft(study: Path) -> Path:
    """A draft in the store whose writer has ended."""
    area = study.parent / "artifacts" / ".tmp"
    process = multiprocessing.get_context("fork").Process(target=_leave, args=(area,))
    process.start()
    process.join()
    return next(area.iterdir())


def test_what_an_ended_process_was_writing_is_seen_and_swept_by_a_run(study: Path, draft: Path) -> None:
    assert [item.where for item in check_invariants(study)] == [str(draft)]
    scripted_study.run(scripted_study.space(study.parent))
    assert check_invariants(study) == []
    assert not draft.exists()


def test_what_a_living_process_writes_is_left_alone(study: Path) -> None:
    draft = study.parent / "artifacts" / ".tmp" / draft_name()
    draft.mkdir(parents=True)
    assert check_invariants(study) == []
    scripted_study.run(scripted_study.space(study.parent))
    assert draft.exists()
