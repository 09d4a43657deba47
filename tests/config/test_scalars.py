import pytest

from pdsearch.config.yaml_reader import resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 5e-4),
        ("5.0e-4", 5e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-3.", -3.0),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("+7", 7),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    found = resolve_scalar(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["off", "yes", "No", "1_000", "12:30", "2026-01-01", "0b11", "e5", ".", "1e", "<<"]
)
def test_words(text: str) -> None:
    assert resolve_scalar(text) == text


@pytest.mark.parametrize(
    "text", [".nan", ".inf", "-.INF", "1e999", "9" * 30, "0." + "1" * 60, "-9223372036854775809"]
)
def test_numbers_that_fit_nowhere(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|fit"):
        resolve_scalar(text)
