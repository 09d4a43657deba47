import pytest

from pdsearch.errors import ConfigError
from pdsearch.pruning.registry import methods
from pdsearch.pruning.schedule import SCHEDULES
from pdsearch.registry import NoParams
from tests.own_code import Author


def test_a_method_of_one_s_own_declares_itself_in_attributes(author: Author) -> None:
    module = author.write()
    sized, early = (methods.get(f"{module}:{name}") for name in ("sized", "early"))
    assert sized.params().power == 1.0
    assert (sized.needs_data, sized.structured, sized.ratio) == (False, False, None)
    assert (sized.at, sized.schedules, sized.scopes) == (("trained", "init"), SCHEDULES, ("global", "layer"))
    assert (early.params, early.needs_data, early.at, early.schedules) == (
        NoParams,
        True,
        ("init",),
        ("one_shot",),
    )
    assert sized.name in methods
    assert sized.name not in methods.names()


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("short", "is no pruning method: too many positional arguments"),
        ("undeclared", r"undeclared\.params is no dataclass"),
        ("number", "is no function, but a int"),
        ("misplaced", r"misplaced\.at is middle\n  -> name some of: trained, init"),
    ],
)
def test_what_is_no_method_is_refused(author: Author, attribute: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        methods.get(f"{author.write()}:{attribute}")
