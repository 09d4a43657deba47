"""Training state: weights, optimizer state, loss scale, averaged and best weights."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pdsearch.errors import ConfigError
from pdsearch.models import load_tensors, not_finite, state_of, state_tensors, was_not_finite
from pdsearch.specs import Json, Recipe
from pdsearch.training.device import Engine
from pdsearch.training.optim import make_optimizer


class Average:
    """The exponential moving average of a network's weights and of its normalisation's statistics.

    The decay grows to its value as min(decay, (1 + n) / (10 + n)) after n earlier steps, so that a short training
    forgets its first weights (TensorFlow's ExponentialMovingAverage with num_updates). Counts are copied. A weight
    that is always zero stays exactly zero.

    Args:
        decay: In (0, 1).
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Update the average with a network's current weights; the first call copies them."""
        present = state_tensors(model)
        if not self.weights:
            self.weights = {name: tensor.clone() for name, tensor in present.items()}
        self.steps += 1
        means = [name for name, mean in self.weights.items() if mean.is_floating_point()]
        update = get_ema_multi_avg_fn(min(self._decay, self.steps / (9 + self.steps)))
        update([self.weights[name] for name in means], [present[name] for name in means], self.steps)
        for name in self.weights.keys() - set(means):
            self.weights[name] = present[name].clone()

    @contextmanager
    def within(self, model: nn.Module) -> Iterator[None]:
        """Run a block with the average loaded into a network; its own weights are restored afterwards."""
        own = {name: tensor.clone() for name, tensor in state_tensors(model).items()}
        load_tensors(model, self.weights)
        try:
            yield
        finally:
            load_tensors(model, own)

    def restore(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """Restore an average after `steps` steps; empty weights mean that there is none yet."""
        self.weights, self.steps = dict(weights), steps


class TrainingState:
    """A network in training; `tensors` and `meta` return its full state, and `restore` restores it bit for bit.

    Args:
        model: The network; placed on the engine's device, trained in place.
        recipe: Names the optimizer and which weights are the result.
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
        """Set all gradients to None, as the optimizer's zero_grad, without its profiler ranges."""
        for weight in self._trained:
            weight.grad = None

    def gradients(self) -> list[Tensor | None]:
        """Return the gradients of all trained parameters; None where the loss does not depend on one."""
        return [weight.grad for weight in self._trained]

    def put_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Assign the gradients of all trained parameters, in the order of `gradients`."""
        for weight, gradient in zip(self._trained, gradients, strict=True):
            weight.grad = gradient

    def average(self) -> None:
        """Update the weight average after a step, if the recipe has one."""
        if self._average is not None:
            self._average.add(self.model)

    @contextmanager
    def handing_on(self) -> Iterator[nn.Module]:
        """Run a block with the result weights in the network: the average, if there is one."""
        if self._average is None:
            yield self.model
            return
        with self._average.within(self.model):
            yield self.model

    def consider(self, value: float | None) -> None:
        """Remember the network's current weights if the value is higher than all before.

        Raises:
            ConfigError: The best weights are selected, but there is no value.
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
            self._best = {name: tensor.clone() for name, tensor in state_tensors(self.model).items()}

    def finish(self) -> None:
        """Load the result weights into the network: best, average or last."""
        if self._best:
            load_tensors(self.model, self._best)
        elif self._average is not None:
            load_tensors(self.model, self._average.weights)

    def not_finite(self) -> list[str]:
        """Return the names of parameters and buffers that became NaN or infinite during training."""
        return not_finite(state_of(self.model), but=self._constants)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name: contiguous copies on the CPU."""
        found = {f"model/{name}": tensor for name, tensor in state_tensors(self.model).items()}
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
        """Return all values that are not tensors."""
        averaged = 0 if self._average is None else self._average.steps
        scaler = self.scaler.state_dict() if self.scaler else {}
        return {"best_value": self._best_value, "scaler": scaler, "averaged": averaged}

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restore the state that `tensors` and `meta` returned."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "average": {}}
        for path, tensor in tensors.items():
            part, _, name = path.partition("/")
            parts[part][name] = tensor
        load_tensors(self.model, parts["model"])
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
                    # Fused kernels iterate over raw memory: a buffer needs the memory format of its weight.
                    of_parameter[name] = torch.empty_like(parameter).detach().copy_(tensor)
