"""Every specification holds what the study resolved once, and trials have stable names."""

from dataclasses import replace
from pathlib import Path

from pdsearch.search.resolved import Description, versions
from tests.search.scripted_trials import space


def test_fingerprint_and_precision_are_filled_in_and_nothing_else(tmp_path: Path) -> None:
    asked = space(tmp_path)
    spec = asked.resolve(asked.defaults())
    found = Description("a" * 64, "bf16").complete(spec)
    assert found == replace(spec, data=replace(spec.data, fingerprint="a" * 64), precision="bf16")


def test_a_configuration_is_a_trial_without_the_student_s_seeds(tmp_path: Path) -> None:
    asked = space(tmp_path)
    describe = Description("a" * 64, "fp32")
    spec = describe.complete(asked.resolve(asked.defaults()))
    other = replace(spec, distill=replace(spec.distill, seed=7, view_seed=7))
    assert describe.key(spec) != describe.key(other)
    assert describe.config(spec) == describe.config(other)
    warmer = replace(spec, distill=replace(spec.distill, params=(("alpha", 0.5),)))
    assert describe.config(spec) != describe.config(warmer)


def test_versions_name_what_could_matter() -> None:
    found = versions()
    assert {"python", "torch", "optuna", "ray", "numpy"} <= found.keys()
    assert found["torch"] is not None


def test_a_checkpoint_gets_its_hash_and_a_place_that_every_worker_finds(tmp_path: Path) -> None:
    asked = space(tmp_path, teacher={"model": "convnet_s", "checkpoint": "a.pth"})
    describe = Description("a" * 64, "fp32", checkpoints={"a.pth": "b" * 64})
    teacher = describe.complete(asked.resolve(asked.defaults())).teacher
    assert teacher.fingerprint == "b" * 64
    assert teacher.checkpoint == str(Path.cwd() / "a.pth")


def test_images_are_recorded_where_every_folder_finds_them_and_keys_stay(tmp_path: Path) -> None:
    asked = space(tmp_path, data={"source": "cifar10", "root": "images"})
    spec = asked.resolve(asked.defaults())
    describe = Description("a" * 64, "fp32")
    found = describe.complete(spec)
    assert found.data.root == str(Path.cwd() / "images")
    assert describe.key(found) == describe.key(replace(found, data=replace(found.data, root="images")))


def test_published_weights_get_their_lasting_name(tmp_path: Path) -> None:
    model = {"model": "torchvision/resnet50", "options": {"weights": "DEFAULT"}}
    asked = space(tmp_path, teacher=model, student=model)
    spec = Description("a" * 64, "fp32").complete(asked.resolve(asked.defaults()))
    assert spec.teacher.options == spec.student.options == (("weights", "IMAGENET1K_V2"),)
