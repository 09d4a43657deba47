"""Only what is built of harmless characters names an entry."""

import pytest

from pdsearch.artifacts.base import check_name, is_key, is_stage
from pdsearch.errors import StorageError


def test_only_names_of_entries_pass() -> None:
    check_name("teacher", "a" * 64, where="here")
    assert is_stage("outputs-2")
    assert not any(is_stage(name) for name in ("", ".tmp", "Teacher", "a/b", "..", "a" * 65))
    assert not any(is_key(name) for name in ("", "a" * 63, "g" * 64, "a" * 65, "../" + "a" * 61))
    with pytest.raises(StorageError, match="here"):
        check_name("teacher", "..", where="here")
