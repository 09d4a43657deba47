import pytest

from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.registry import NoParams
from tests.own_code import Author


def test_a_loss_of_one_s_own_declares_itself_in_attributes(author: Author) -> None:
    module = author.write()
    squared, alone = (losses.get(f"{module}:{name}") for name in ("squared", "alone"))
    assert squared.params().weight == 1.0
    assert (squared.needs_teacher, squared.features, squared.adapter) == (True, (), None)
    assert (alone.params, alone.needs_teacher) == (NoParams, False)
    assert squared.name not in losses.names()


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("short", "is no loss: too many positional arguments"),
        ("undeclared", r"undeclared\.params is no dataclass"),
        ("number", "is no function, but a int"),
    ],
)
def test_what_is_no_loss_is_refused(author: Author, attribute: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        losses.get(f"{author.write()}:{attribute}")
