"""A baseline differs from its trial in one thing only."""

from dataclasses import replace

from pdsearch.search.confirmation.jobs import alone, unpruned, with_seed
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec

RECIPE = Recipe(epochs=2, lr=0.1)
SPEC = TrialSpec(
    data=DataSpec("digits"),
    teacher=TeacherSpec("convnet_l", 3, RECIPE),
    student=StudentSpec("from_teacher"),
    distill=DistillSpec(RECIPE, params=(("temperature", 4.0),), seed=5, view_seed=5),
    prune=PruneSpec("magnitude", 0.36, RECIPE),
)
SHAPE = StudentSpec("convnet_s", (("widths", (4, 8)),))


def test_the_unpruned_pair_keeps_shape_loss_and_seeds() -> None:
    assert unpruned(SPEC, SHAPE) == replace(SPEC, prune=None, student=SHAPE)


def test_the_student_alone_learns_from_labels_with_the_same_recipe_and_seeds() -> None:
    found = alone(SPEC, SHAPE)
    assert (found.prune, found.student) == (None, SHAPE)
    assert found.distill == replace(SPEC.distill, loss="ce", params=())


def test_a_seed_is_the_student_s_and_its_views_and_not_the_teacher_s() -> None:
    found = with_seed(SPEC, 9)
    assert found == replace(SPEC, distill=replace(SPEC.distill, seed=9, view_seed=9))
    assert found.teacher.seed == 3
