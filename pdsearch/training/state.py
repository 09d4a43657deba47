"""What changes while a network trains: weights, the optimizer's buffers, loss scale, average and best weights."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models import not_finite, state_of, was_not_finite
from pdsearch.specs import Json, Recipe
from pdsearch.training.device import Engine
from pdsearch.training.ema import Average
from pdsearch.training.optim import make_optimizer

__all__ = ["TrainingState"]


class TrainingState:
    """A network in training; `tensors` and `meta` hold all of it, and `restore` puts it back bit for bit.

    Args:
        model: The network; placed on the engine's device, trained in place.
        recipe: Names the optimizer and which weights are handed on.
        engine: Device and precision.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, engine: Engine) -> None:
        self.model = engine.place(model)
        self._constants = was_not_finite(model)
        self.optimizer = make_optimizer(model, recipe)
        self._trained = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        self.scaler = engine.scaler()
        self._keep_best = recipe.select == "best_val"
        self._best: dict[str, Tensor] = {}
        self._best_value = -1.0
        self._average = Average(recipe.ema) if recipe.ema else None

    def forget_gradients(self) -> None:
        """Drop the gradients of the last step, as the optimizer would, but for its ranges for a profiler."""
        for weight in self._trained:
            weight.grad = None

    def gradients(self) -> list[Tensor | None]:
        """Return the gradients of all that is trained; None of what the loss does not depend on."""
        return [weight.grad for weight in self._trained]

    def put_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Let gradients be those of what is trained, in the order of `gradients`."""
        for weight, gradient in zip(self._trained, gradients, strict=True):
            weight.grad = gradient

    def average(self) -> None:
        """Take the weights after a step into their average, if the recipe wants one."""
        if self._average is not None:
            self._average.add(self.model)

    @contextmanager
    def handing_on(self) -> Iterator[nn.Module]:
        """Run a block with the weights that would be handed on now in the network: the average, if there is one."""
        if self._average is None:
            yield self.model
            return
        with self._average.within(self.model):
            yield self.model

    def consider(self, value: float | None) -> None:
        """Remember the network's present weights if they are the first with the highest value so far.

        Raises:
            ConfigError: The best are asked for, and nothing was measured.
        """
        if not self._keep_best:
            return
        if value is None:
            hint = "cut off a data.val_fraction, or select last"
            raise ConfigError(
                "no validation image to find the best epoch by", where="train.select", hint=hint
            )
        if value > self._best_value:
            self._best_value = value
            self._best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def finish(self) -> None:
        """Leave the weights to hand on in the network."""
        if self._best:
            self.model.load_state_dict(self._best)
        elif self._average is not None:
            self.model.load_state_dict(self._average.weights)

    def not_finite(self) -> list[str]:
        """Return the names of parameters and buffers that hold NaN or an infinity since the training began."""
        return not_finite(state_of(self.model), but=self._constants)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name: contiguous copies on the CPU."""
        found = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        found |= {f"best/{name}": tensor for name, tensor in self._best.items()}
        if self._average is not None:
            found |= {f"average/{name}": tensor for name, tensor in self._average.weights.items()}
        for number, buffers in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer/{number}/{name}": tensor for name, tensor in buffers.items()}
        return {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in found.items()
        }

    def meta(self) -> dict[str, Json]:
        """Return what is no tensor."""
        averaged = 0 if self._average is None else self._average.steps
        scaler = self.scaler.state_dict() if self.scaler else {}
        return {"best_value": self._best_value, "scaler": scaler, "averaged": averaged}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go back to a state that `tensors` and `meta` described."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "average": {}}
        for path, tensor in tensors.items():
            part, _, name = path.partition("/")
            parts[part][name] = tensor
        self.model.load_state_dict(parts["model"])
        self._restore_optimizer(parts["optimizer"])
        self._best_value = meta["best_value"]
        device = next(self.model.parameters()).device
        self._best = {name: tensor.to(device) for name, tensor in parts["best"].items()}
        if self._average is not None:
            weights = {name: tensor.to(device) for name, tensor in parts["average"].items()}
            self._average.restore(weights, meta["averaged"])
        if self.scaler is not None:
            self.scaler.load_state_dict(meta["scaler"])

    def _restore_optimizer(self, buffers: Mapping[str, Tensor]) -> None:
        state = self.optimizer.state_dict()
        state["state"] = {}
        for path, tensor in buffers.items():
            number, _, name = path.partition("/")
            state["state"].setdefault(int(number), {})[name] = tensor
        self.optimizer.load_state_dict(state)
        for parameter, of_parameter in self.optimizer.state.items():
            for name, tensor in of_parameter.items():
                if tensor.shape == parameter.shape:
                    # Fused kernels walk memory: a buffer must lie in the order of its weights.
                    of_parameter[name] = torch.empty_like(parameter).detach().copy_(tensor)
