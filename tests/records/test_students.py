"""Students are compared with those of their architecture and about their size."""

from hypothesis import given
from hypothesis import strategies as st

from pdsearch.records.students import ALIKE, StudentKind, alike

students = st.lists(
    st.builds(
        StudentKind,
        st.sampled_from(["a", "b"]),
        st.none() | st.integers(1, 2_000),
        st.sampled_from(["x", "y"]),
    ),
    max_size=20,
)


def test_names_tell_architecture_and_where_needed_size() -> None:
    big, alike_one, small, other = (
        StudentKind(model, params, "")
        for model, params in (("vit", 58_922), ("vit", 57_000), ("vit", 9_100_000), ("cnn", 700))
    )
    assert alike([big, alike_one, other]) == {None: "", big: "vit", alike_one: "vit", other: "cnn"}
    found = alike([big, alike_one, small, other])
    assert (found[big], found[alike_one], found[small]) == ("vit (58.9k)", "vit (58.9k)", "vit (9.1M)")


@given(students)
def test_alike_are_those_of_a_tenth_of_size_whatever_the_order(found: list[StudentKind]) -> None:
    names = alike(found)
    assert alike([*reversed(found), None]) == names
    for one in found:
        for other in found:
            if names[one] == names[other]:
                assert one.model == other.model
                assert one == other or min(one.params or 0, other.params or 0) >= ALIKE * max(
                    one.params or 0, other.params or 0
                )
            if one.model == other.model and one.params == other.params is not None:
                assert names[one] == names[other]
