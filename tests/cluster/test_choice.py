"""--address goes before RAY_ADDRESS, RAY_ADDRESS before a Ray of one's own; what cannot be joined is refused."""

import pytest

from pdsearch.cluster.connection.choice import choose
from pdsearch.errors import ConfigError


@pytest.mark.parametrize(
    ("asked", "told", "address", "words"),
    [
        (None, "", None, "a Ray of its own on this machine"),
        (None, "local", None, "a Ray of its own on this machine (RAY_ADDRESS=local)"),
        ("local", "10.0.0.1:6379", None, "a Ray of its own on this machine (--address local)"),
        ("local", "http://gone:8265", None, "a Ray of its own on this machine (--address local)"),
        (None, "10.0.0.1:6379", "10.0.0.1:6379", "Ray cluster 10.0.0.1:6379 (from RAY_ADDRESS)"),
        (None, "[::1]:6379", "[::1]:6379", "Ray cluster [::1]:6379 (from RAY_ADDRESS)"),
        (None, "auto", "auto", "Ray cluster here:1 (RAY_ADDRESS=auto)"),
        ("head:6379", "10.0.0.1:6379", "head:6379", "Ray cluster head:6379 (from --address)"),
        ("auto", "", "auto", "Ray cluster here:1 (--address auto)"),
        ("auto", "http://head:8265", "auto", "Ray cluster here:1 (--address auto)"),
        ("auto", "10.0.0.1:6379", "10.0.0.1:6379", "Ray cluster 10.0.0.1:6379 (from RAY_ADDRESS)"),
    ],
)
def test_which_ray_is_used_and_why(asked: str | None, told: str, address: str | None, words: str) -> None:
    choice = choose(asked, {"RAY_ADDRESS": told})
    assert choice.address == address
    assert choice.words("here:1" if address == "auto" else None) == words
    assert choose(asked, {"RAY_ADDRESS": f" {told} "}) == choice
    assert told or choose(asked, {}) == choice


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("http://head:8265", "ray job submit --address http://head:8265 -- pdsearch run SPACE"),
        ("https://head", "ray job submit --address https://head -- pdsearch run SPACE"),
        ("ray://head:10001", "ray job submit --address http://HEAD:8265 -- pdsearch run SPACE"),
        ("redis://head:6379", "host:port"),
        ("head", "host:port"),
        ("head:", "host:port"),
        ("head:0", "host:port"),
        ("head:65536", "host:port"),
        ("head:http", "host:port"),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_what_cannot_be_joined_is_refused_with_the_right_form(
    address: str, hint: str, by_option: bool
) -> None:
    with pytest.raises(ConfigError) as refused:
        choose(address if by_option else None, {"RAY_ADDRESS": "" if by_option else address})
    assert hint in str(refused.value)
    assert "--address local" in str(refused.value)
    assert refused.value.where == (f"--address {address}" if by_option else f"RAY_ADDRESS={address}")
