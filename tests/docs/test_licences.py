"""The page of licences names every direct dependency."""

from tests.docs.licences_page import PAGE, needed


def test_every_direct_dependency_is_listed() -> None:
    listed = PAGE.read_text(encoding="utf-8")
    direct = [name for name, by in needed().items() if by == "pdsearch"]
    assert len(direct) > 15
    assert not [name for name in direct if f"| {name} | " not in listed]
