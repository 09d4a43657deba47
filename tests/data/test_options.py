"""Options of a source come by name; one that it does not know is refused with those that it does."""

import pytest

from pdsearch.data.options import source_options
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec, Params


def spec(*options: tuple[str, object]) -> DataSpec:
    given: Params = options
    return DataSpec(source="made", options=given)


def test_options_come_by_name_and_none_is_invented() -> None:
    assert source_options(spec(("label", "fine"), ("test", 3)), "label", "test") == {
        "label": "fine",
        "test": 3,
    }
    assert source_options(spec(), "label", "test") == {}


def test_an_unknown_option_is_refused_with_its_place_and_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        source_options(spec(("label", "fine"), ("labl", "x")), "label", "test")
    assert caught.value.what == "source 'made' has no option 'labl'"
    assert caught.value.where == "data.labl"
    assert caught.value.hint == "its options: label, test"


def test_a_source_without_options_says_so() -> None:
    with pytest.raises(ConfigError, match="its options: none"):
        source_options(spec(("size", 3)))
