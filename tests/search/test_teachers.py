"""The dense teachers a space names, and the checks of external ones before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models import build, file_hash
from pdsearch.search.preflight.dry_run import checkpoints, teacher_jobs
from pdsearch.search.study import open_study
from tests.search.scripted_trials import DESCRIBE, DOCUMENT, Watching, play, space


def weights(path: Path, seed: int = 0, classes: int = 10) -> str:
    """Save a network for the digits; return the file's name."""
    model = build("convnet_s", num_classes=classes, input_shape=(1, 8, 8), seed=seed)
    torch.save(model.state_dict(), path)
    return str(path)


def reading(folder: Path, file: str, **searched: Any) -> Any:
    """The small space with its teacher read from a file, and no recipe for it."""
    recipes = {name: DOCUMENT["train"][name] for name in ("recover", "distill")}
    teacher = {"model": "convnet_s"} | ({} if searched else {"checkpoint": file})
    return space(folder, teacher=teacher, train=recipes, space={**DOCUMENT["space"], **searched})


def test_every_teacher_that_choices_can_name_is_one_job(tmp_path: Path) -> None:
    searched = {**DOCUMENT["space"], "teacher.model": ["convnet_s", "convnet_m"], "teacher.seed": [0, 1]}
    found = list(teacher_jobs(space(tmp_path, teacher={}, space=searched), DESCRIBE))
    names = [(job.spec.teacher.model, job.spec.teacher.seed) for job in found]
    assert sorted(names) == [("convnet_m", 0), ("convnet_m", 1), ("convnet_s", 0), ("convnet_s", 1)]
    assert all(job.spec.prune is None and job.kind == "teacher" for job in found)


def test_every_checkpoint_a_space_names_is_hashed(tmp_path: Path) -> None:
    one, other = weights(tmp_path / "a.pth"), weights(tmp_path / "b.pth", seed=1)
    fixed = reading(tmp_path, one)
    searched = reading(tmp_path, one, **{"teacher.checkpoint": [one, other]})
    assert checkpoints(fixed) == {one: file_hash(one)}
    assert checkpoints(searched) == {one: file_hash(one), other: file_hash(other)}
    assert checkpoints(space(tmp_path)) == {}


def test_a_checkpoint_that_does_not_fit_stops_the_study_before_it_begins(tmp_path: Path) -> None:
    small = reading(tmp_path, weights(tmp_path / "a.pth", classes=7))
    with (
        pytest.raises(ConfigError, match=r"classifier\.weight \(7, 16\), not \(10, 16\)"),
        open_study(small, Watching()),
    ):
        pass
    assert not (tmp_path / "small" / "study.json").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nan, r"classifier\.weight and classifier\.bias are not finite"),
        (3e38, r"answers 2 images with logits that are not finite"),
    ],
)
def test_a_checkpoint_that_is_no_number_stops_it_too(tmp_path: Path, value: float, message: str) -> None:
    path = weights(tmp_path / "a.pth")
    broken = {name: torch.full_like(t, value) for name, t in torch.load(path).items() if "classifier" in name}
    torch.save({**torch.load(path), **broken}, path)
    with pytest.raises(ConfigError, match=message), open_study(reading(tmp_path, path), Watching()):
        pass
    assert not (tmp_path / "small" / "study.json").exists()


def test_a_missing_checkpoint_stops_it_too(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="the checkpoint cannot be read"),
        open_study(reading(tmp_path, "nowhere.pth"), Watching()),
    ):
        pass


def test_a_study_stays_with_the_weights_it_began_with(tmp_path: Path) -> None:
    for seed in (0, 0, 1):
        small = reading(tmp_path, weights(tmp_path / "a.pth", seed=seed))
        if seed == 1:
            with (
                pytest.raises(ConfigError, match="not the weights the study began with"),
                open_study(small, Watching()),
            ):
                pass
            break
        with open_study(small, Watching()) as study:
            play(study.agenda)


def test_a_study_begun_before_there_were_checkpoints_goes_on(tmp_path: Path) -> None:
    with open_study(space(tmp_path), Watching()):
        pass
    path = tmp_path / "small" / "study.json"
    path.write_text(path.read_text().replace('"checkpoints"', '"unknown"'))
    with open_study(space(tmp_path), Watching()) as study:
        assert study.resumed


class Sorting(nn.Module):
    """A network whose features are in the order of their values, so that none of them has a channel of its own."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(channels, 8, 3), nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.conv(x).mean(dim=(2, 3)).sort(dim=1).values)
        return found


def sorting(*, num_classes: int, channels: int, image_size: int) -> nn.Module:  # noqa: ARG001
    return Sorting(channels, num_classes)


@pytest.mark.parametrize(("method", "refused"), [("filter_l1", True), ("magnitude", False)])
def test_a_teacher_whose_channels_cannot_go_stops_the_study_before_it_is_trained(
    tmp_path: Path, method: str, refused: bool
) -> None:
    searched = {**DOCUMENT["space"], "prune.method": ["none", method]}
    searched["prune.ratio"] = {"choices": [0.2, 0.36], "when": {"prune.method": [method]}}
    asked = space(tmp_path, teacher={"model": "tests.search.test_teachers:sorting"}, space=searched)
    if not refused:
        with open_study(asked, Watching()):
            return
    with (
        pytest.raises(
            ConfigError,
            match=r"no channel of this network can be removed: conv.weight .the operation sort is not known",
        ),
        open_study(asked, Watching()),
    ):
        pass
    assert not (tmp_path / "small" / "study.json").exists()
