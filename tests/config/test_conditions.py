from tests.config.documents import space


def test_condition_values_take_the_type_of_the_choices() -> None:
    searched = {
        "train.distill.lr": [1, 0.5],
        "train.distill.gamma": {"low": 0.1, "high": 0.5, "when": {"train.distill.lr": [1]}},
    }
    (_, gamma) = space(
        searched, train={"teacher": {"epochs": 2, "lr": 1}, "distill": {"epochs": 2}}
    ).parameters
    assert repr(gamma.when) == "{'train.distill.lr': (1.0,)}"
