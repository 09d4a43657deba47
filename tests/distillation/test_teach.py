import pytest
import torch
from torch import Tensor, nn

from pdsearch.distillation import DistillationLoss, Outputs, make_adapter, teach
from pdsearch.distillation.registry import losses
from pdsearch.errors import TrialError
from pdsearch.registry import NoParams

OURS, THEIRS = Outputs(torch.tensor([[1.0, 2.0]])), Outputs(torch.tensor([[3.0, 5.0]]))
LABEL, INDEX = torch.tensor([0]), torch.tensor([7])


class Doubled(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs, index: Tensor) -> tuple[Outputs, Outputs]:
        return Outputs(2 * student.logits + index), teacher


def gap(student: Outputs, teacher: Outputs, _targets: Tensor, _params: NoParams) -> Tensor:
    return (teacher.logits - student.logits).sum()


def test_the_loss_sees_what_the_adapter_returns() -> None:
    entry = DistillationLoss("gap", gap, NoParams, adapter=lambda *_: Doubled())
    adapter = make_adapter(entry, {}, {}, images=9, generator=torch.Generator(), params=NoParams())
    value = teach(entry, OURS, THEIRS, LABEL, params=NoParams(), adapter=adapter, index=INDEX)
    assert float(value) == (3 - 9) + (5 - 11)


def test_what_is_missing_fails_the_trial() -> None:
    entry = DistillationLoss("gap", gap, NoParams, adapter=lambda *_: Doubled())
    with pytest.raises(TrialError, match=r"gap needs a teacher"):
        teach(entry, OURS, None, LABEL, params=NoParams())
    for adapter, index in ((None, INDEX), (Doubled(), None)):
        with pytest.raises(TrialError, match=r"needs its adapter"):
            teach(entry, OURS, THEIRS, LABEL, params=NoParams(), adapter=adapter, index=index)


def test_without_a_teacher_the_student_stands_in() -> None:
    entry = losses.get("ce")
    assert torch.equal(
        teach(entry, OURS, None, LABEL, params=NoParams()), entry.loss(OURS, OURS, LABEL, NoParams())
    )
