from pdsearch.config import Parameter
from pdsearch.config.resolve import in_order
from tests.config.documents import SEARCHED, space


def test_parents_come_first_and_the_file_order_never_matters() -> None:
    chain = {
        "c": Parameter("c", "int", low=1, high=2),
        "a": Parameter("a", "int", low=1, high=2, when={"b": (1,)}),
        "b": Parameter("b", "categorical", choices=(1, 2)),
    }
    assert [p.name for p in in_order(chain)] == ["b", "c", "a"]
    assert in_order(dict(reversed(chain.items()))) == in_order(chain)
    assert space(dict(reversed(SEARCHED.items()))) == space()
