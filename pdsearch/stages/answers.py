"""What does a network say and show of images? Logits, and those features that a loss compares."""

from torch import Tensor, nn

from pdsearch.distillation import FeatureShapes, Outputs, wanted

__all__ = ["outputs", "shapes"]


def outputs(model: nn.Module, images: Tensor, features: tuple[str, ...]) -> Outputs:
    """Run a network; in float32 what leaves it, since softmax and divergence lose too much in 16 bits.

    Args:
        model: With features, one that shows them (`check_shows_features`).
        images: Normalised, (B, C, H, W), on the network's device.
        features: Names or patterns of the features that are wanted; none asks for logits alone.

    Raises:
        ConfigError: The network has no feature of that name.
    """
    if not features:
        return Outputs(model(images).float())
    maps: dict[str, Tensor] = model.features(images)  # type: ignore[operator]
    logits: Tensor = model.classifier(maps["pooled"])  # type: ignore[operator]
    return Outputs(logits.float(), {name: maps[name].float() for name in wanted(features, maps)})


def shapes(said: Outputs) -> FeatureShapes:
    """Return the shapes of one image's features, by name."""
    return {name: tuple(maps.shape[1:]) for name, maps in said.features.items()}
