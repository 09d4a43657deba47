"""Fields of earlier versions are read, said, and without effect."""

from pdsearch.config import diff
from pdsearch.specs import Json
from tests.config.documents import SEARCHED, space


def test_a_retired_field_is_a_note_and_changes_nothing() -> None:
    plain = space(SEARCHED, confirm={"seeds": 3})
    for value in ("auto", True, False):
        old = space(SEARCHED, confirm={"seeds": 3, "together": value}, distill={"replicas": [1, 2]})
        said = [note for note in old.notes if "has no effect any more" in note]
        assert [note.split()[0] for note in said] == ["confirm.together", "distill.replicas"]
        assert old.to_json() == plain.to_json()


def test_a_study_that_was_begun_with_one_is_gone_on_with() -> None:
    identity = space(SEARCHED).identity()
    distill = identity["distill"]
    assert isinstance(distill, dict)
    began: dict[str, Json] = {**identity, "distill": {**distill, "replicas": [1, 2]}}
    assert diff(began, identity) == []
