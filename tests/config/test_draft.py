from pdsearch.config.checks.draft import given_in, path_of
from pdsearch.config.sections import File
from tests.config.documents import document
from tests.config.parts import CATALOG


def test_only_what_is_named_is_given() -> None:
    sections = document(
        {}, distill={"alpha": 0.5}, prune={"params": {"batches": 2}}, train={"teacher": {"lr": 1.0}}
    )
    given = given_in(File.model_validate(sections, context=CATALOG))
    assert given == {
        "data.source": "digits",
        "teacher.model": "convnet_l",
        "student.model": "convnet_s",
        "train.teacher.lr": 1.0,
        "prune.params.batches": 2,
        "distill.alpha": 0.5,
    }


def test_every_dotted_name_has_its_place() -> None:
    assert path_of("train.teacher.lr") == ("train", "teacher", "lr")
    assert path_of("student.options.widths") == ("student", "options", "widths")
    assert path_of("prune.params.batches") == ("prune", "params", "batches")
    assert path_of("distill.alpha") == ("distill", "alpha")
    assert path_of("search.trials") == ("search", "trials")
