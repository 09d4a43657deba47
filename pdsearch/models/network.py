"""Base class of the built-in networks: named features, one linear classifier, `forward` returns logits."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from pdsearch.models.blocks import pool


class Network(nn.Module, ABC):
    """A classifier with access to its intermediate features.

    `features` returns, in order, `stage1`, `stage2`, ...: the last feature map of each stage, (B, C, H, W), a
    stage being a run of layers at one resolution; and last `pooled`: (B, F), the input of the classifier.
    `forward(x)` is `classifier(features(x)["pooled"])`: code that needs both runs the trunk once.

    Args:
        classifier: The last linear layer.
    """

    classifier: nn.Linear

    @abstractmethod
    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return feature maps by stage, and `pooled`, of images (B, C, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes)."""
        return self.logits_and_features(images)[0]

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return logits, (B, classes), and `features` of the same pass."""
        features = self.features(images)
        return self.classifier(features["pooled"]), features


class StagedNetwork(Network):
    """A stem, stages one after another, a head, the mean over positions, the classifier.

    Args:
        stages: The module of each stage, downsampling included.
        classifier: The last linear layer.
        stem: Module before the first stage.
        head: Module between the last stage and the mean.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        classifier: nn.Linear,
        *,
        stem: nn.Module | None = None,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem or nn.Identity()
        self.stages = nn.ModuleList(stages)
        self.head = head or nn.Identity()
        self.classifier = classifier

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return stage1, stage2, ... and pooled."""
        found: dict[str, Tensor] = {}
        maps = self.stem(images)
        for number, stage in enumerate(self.stages, start=1):
            maps = stage(maps)
            found[f"stage{number}"] = maps
        return found | {"pooled": pool(self.head(maps))}
