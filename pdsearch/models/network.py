"""What do all our networks have in common? Named features, one linear classifier, logits = forward."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["Network"]


class Network(nn.Module, ABC):
    """A classifier that shows its features.

    `features` returns, in order, `stage1`, `stage2`, ...: the last feature map of each stage, (B, C, H, W), a
    stage being a run of layers at one resolution; and last `pooled`: (B, F), what the classifier sees.
    `forward(x)` is `classifier(features(x)["pooled"])`: whoever needs both runs the trunk once.

    Args:
        classifier: The last linear layer.
    """

    classifier: nn.Linear

    @abstractmethod
    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return feature maps by stage, and `pooled`, of images (B, C, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes)."""
        logits: Tensor = self.classifier(self.features(images)["pooled"])
        return logits
