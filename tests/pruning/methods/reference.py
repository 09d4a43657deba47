"""What torch-pruning itself says of every group of a network: an independent reference."""

from collections.abc import Callable
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn


class Plain(nn.Module):
    """Two convolutions with normalisation, a shortcut, a hidden linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 7, 3, padding=1)
        self.back = nn.Conv2d(7, 6, 3, padding=1)
        self.hidden, self.classifier = nn.Linear(6, 9), nn.Linear(9, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.norm(self.conv(images)))
        maps = torch.relu(maps + self.back(torch.relu(self.inner(maps))))
        logits: Tensor = self.classifier(torch.relu(self.hidden(maps.mean((2, 3)))))
        return logits


def reference_scores(net: Plain, importance: Callable[[Any], Tensor], image: Tensor) -> dict[str, Tensor]:
    """The importance of every group of channels, by the weight it is found from."""
    graph = torch_pruning.DependencyGraph().build_dependency(net, example_inputs=image)
    names = {module: f"{name}.weight" for name, module in net.named_modules()}
    groups = graph.get_all_groups(ignored_layers=[net.classifier])
    return {names[group[0].dep.target.module]: importance(group) for group in groups}
