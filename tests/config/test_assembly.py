from pdsearch.config import Halving, Objective
from tests.config.documents import space


def test_one_configuration_needs_no_trials_and_no_validation() -> None:
    found = space({}, data={"source": "digits", "val_fraction": 0}, search=None)
    assert (found.search.trials, found.parameters) == (1, ())


def test_what_a_file_does_not_say_is_filled_in() -> None:
    found = space({}, search={"trials": 2, "stop": {"halving": {"min_epochs": 3}}}, confirm={})
    assert found.objectives == (Objective("student.val_accuracy", "maximize"),)
    assert found.search.stop == Halving("student.val_accuracy", 3, 3)
    assert found.confirm is not None
    assert (found.study, found.confirm.teachers) == ("study", 5)
    assert space({}, objectives=[{"metric": "student.params"}]).objectives[0].goal == "minimize"


def test_a_dense_teacher_has_nothing_of_pruning() -> None:
    names = [name for name, _ in space({}).fixed]
    assert [name for name in names if name.startswith(("prune.", "train.recover."))] == ["prune.method"]
    pruned = dict(space({}, prune={"method": "taylor", "ratio": 0.5}).fixed)
    assert (pruned["prune.ratio"], pruned["train.recover.epochs"]) == (0.5, 6)


def test_only_parts_that_can_be_chosen_have_defaults() -> None:
    assert [part for part, _ in space({}).part_defaults] == ["distill.kd"]
    parts = dict(
        space({"distill.loss": ["kd", "ce"]}, prune={"method": "taylor", "ratio": 0.5}).part_defaults
    )
    assert parts["prune.taylor"] == (("batches", 4), ("layers", (1, 2)))
    assert parts["distill.ce"] == ()


def test_without_validation_images_all_configurations_are_run_and_confirmed() -> None:
    found = space(
        {"distill.temperature": [1, 2, 4]},
        data={"source": "digits", "val_fraction": 0},
        search=None,
        confirm={},
    )
    assert found.confirm is not None
    assert (found.search.trials, found.confirm.teachers) == (3, 3)
    assert found.objectives[0].metric == "student.params"
