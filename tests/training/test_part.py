"""A part of an epoch holds what the rest of it depends on: losses so far, and the generators' states."""

import torch

from pdsearch.training.checkpoint import BEGIN, EpochPart, random_states


def test_it_comes_back_as_it_was() -> None:
    part = EpochPart(3, 1.5, torch.tensor(0.1, dtype=torch.float64), random_states("cpu"))
    back = EpochPart.stored({**part.tensors(), "model/x": torch.zeros(1)}, part.meta())
    assert (back.steps, back.seconds) == (3, 1.5)
    assert back.total is not None
    assert back.total == part.total
    assert back.random.keys() == {"cpu"}
    assert torch.equal(back.random["cpu"], part.random["cpu"])


def test_draws_go_on_where_they_were() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.rand(5)
        part = EpochPart(1, 0.0, torch.tensor(2.5, dtype=torch.float64), random_states("cpu"))
        expected = torch.rand(4)
        total = part.begin("cpu")
        assert torch.equal(torch.rand(4), expected)
    assert total == 2.5
    total += 1
    assert part.total == 2.5, "it is added to a copy"


def test_an_epoch_of_which_nothing_is_done_changes_no_generator() -> None:
    state = torch.get_rng_state()
    assert BEGIN.begin("cpu") == 0
    assert torch.equal(torch.get_rng_state(), state)
