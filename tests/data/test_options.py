"""Options that a source does not know are refused; where a set comes from is no part of what it is."""

from pathlib import Path

import pytest

from pdsearch.data.options import keyed_options, may_download, root_of, source_options
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec


def spec(**options: object) -> DataSpec:
    return DataSpec("made", options=tuple(sorted(options.items())))


def test_known_options_are_returned() -> None:
    assert source_options(spec(a=1), "a", "b") == {"a": 1}
    with pytest.raises(ConfigError, match="no option 'c'") as caught:
        source_options(spec(c=1), "a", "b")
    assert (caught.value.where, caught.value.hint) == ("data.options.c", "its options: a, b")


def test_a_download_is_allowed_unless_it_is_forbidden() -> None:
    assert may_download(spec())
    assert not may_download(spec(download=False))
    assert may_download(spec(download=True, a=1), "a")
    for wrong in (0, "false"):
        with pytest.raises(ConfigError, match="true or false"):
            may_download(spec(download=wrong))


def test_what_says_where_a_set_comes_from_is_not_keyed() -> None:
    assert keyed_options((("download", False), ("label", "fine"))) == (("label", "fine"),)


def test_a_root_is_needed_and_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert root_of(DataSpec("made", root="~/sets")) == tmp_path / "sets"
    with pytest.raises(ConfigError, match="made needs a folder"):
        root_of(spec())
