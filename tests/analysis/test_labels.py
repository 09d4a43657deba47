"""Teachers have short names, and never two the same one."""

from typing import Any

from pdsearch.analysis import rank_teachers
from tests.analysis.made_up import confirmed, study


def _with(records: list[dict[str, Any]], config: str, **teacher: str) -> list[dict[str, Any]]:
    for item in records:
        item["teacher"] |= {"config": config, **teacher}
        item["id"] += config
    return records


def _labels(*records: list[dict[str, Any]]) -> list[str]:
    return [row.label for row in rank_teachers(study(item for group in records for item in group)).rows]


def test_short_names() -> None:
    found = _labels(confirmed("magnitude", [0.7]), confirmed(None, [0.6]), confirmed("alone", [0.5]))
    assert found == ["vgg19_bn magnitude 59%", "vgg19_bn unpruned", "student alone"]


def test_equal_names_get_what_tells_them_apart() -> None:
    one = _with(confirmed("magnitude", [0.7]), "a" * 64)
    two = _with(confirmed("magnitude", [0.6]), "b" * 64, recovery="finetune")
    assert _labels(one, two) == [
        "vgg19_bn magnitude 59% geometric lr_rewind global",
        "vgg19_bn magnitude 59% geometric finetune global",
    ]


def test_what_nothing_else_tells_apart_gets_its_hash() -> None:
    one, two = (_with(confirmed("magnitude", [v]), c * 64) for v, c in ((0.7, "a"), (0.6, "b")))
    assert [label.split()[-1] for label in _labels(one, two)] == ["aaaaaaaa", "bbbbbbbb"]
