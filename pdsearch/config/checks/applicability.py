"""Checks that every sampled parameter has an effect and every needed field has a value.

Both are checked by enumerating all combinations of the choices involved, conditions respected.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pdsearch.config.catalog import FROM_TEACHER, NO_PRUNING, Catalog
from pdsearch.config.problems import show
from pdsearch.config.resolve import combinations, in_order
from pdsearch.config.space import Parameter
from pdsearch.user_code import Options

MOST_SITUATIONS = 1_000
DECIDERS: Mapping[str, str] = {
    "prune.method": NO_PRUNING,
    "prune.recovery": "lr_rewind",
    "prune.schedule": "geometric",
    "prune.at": "trained",
    "distill.loss": "kd",
    "teacher.model": "",
    "teacher.checkpoint": "",
    "teacher.head": "keep",
    "student.model": "",
}
"""The fields that decide whether others have an effect, and their default values."""

OF_STUDENT = {"student.init": True, "student.widths": False}
"""Whether a field is for from_teacher, or for the named architectures."""


DISTILL_FIELDS = ("loss", "seed", "view_seed", "teacher_layers", "student_layers")
"""Fields of `distill` that are no parameter of a loss."""


@dataclass(frozen=True)
class Situation:
    """One combination: the choices sampled in it, and the value of every decider."""

    sampled: Mapping[str, Any]
    deciders: Mapping[str, Any]


@dataclass(frozen=True)
class Reach:
    """The combinations a space allows.

    Args:
        parameters: Searched parameters, their conditions already checked.
        fixed: Fixed values.
        catalog: The parameters of each part.
    """

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, Any]
    catalog: Catalog

    def situations(self, name: str) -> Iterator[Situation]:
        """Yield the combinations of the deciders and of the parameters a field depends on, 1,000 at most."""
        involved: dict[str, Parameter] = {}
        deciders = _deciders(name)
        waiting = [name, *deciders]
        while waiting:
            parameter = self.parameters.get(waiting.pop())
            if parameter is not None and parameter.name not in involved:
                involved[parameter.name] = parameter
                waiting.extend(parameter.when)
        choices = {
            n: p for n, p in involved.items() if p.kind == "categorical" and (n != name or n in deciders)
        }
        base = {n: self.fixed.get(n, value) for n, value in DECIDERS.items()}
        for sampled in islice(combinations(in_order(choices), lambda p: p.choices), MOST_SITUATIONS):
            yield Situation(sampled, base | {n: v for n, v in sampled.items() if n in DECIDERS})

    def values(self, decider: str) -> tuple[Any, ...]:
        """Return the values a decider can take."""
        if decider in self.parameters:
            return self.parameters[decider].choices
        return (self.fixed.get(decider, DECIDERS[decider]),)

    def without_effect(self, name: str) -> tuple[str, tuple[Any, ...], tuple[Any, ...]] | None:
        """Return where a field has no effect: the decider, its values in that case, and its other values."""
        vain: dict[str, list[Any]] = {}
        for situation in self.situations(name):
            decider = self.idle(name, situation)
            parameter = self.parameters.get(name)
            if decider and (parameter is None or parameter.active(situation.sampled)):
                vain.setdefault(decider, []).append(situation.deciders[decider])
        for decider, values in vain.items():
            others = tuple(v for v in self.values(decider) if v not in values)
            return decider, tuple(dict.fromkeys(values)), others
        return None

    def never(self, name: str) -> dict[str, list[Any]]:
        """Return what leaves a field without effect in every situation: by decider; {} if it has one."""
        vain: dict[str, list[Any]] = {}
        for situation in self.situations(name):
            decider = self.idle(name, situation)
            if not decider:
                return {}
            values = vain.setdefault(decider, [])
            values += [value] if (value := situation.deciders[decider]) not in values else []
        return vain

    def missing(self, name: str) -> str | None:
        """Describe a combination in which a field has an effect but no value; None if there is none."""
        if name in self.fixed:
            return None
        parameter = self.parameters.get(name)
        for situation in self.situations(name):
            if self.idle(name, situation) or (parameter is not None and parameter.active(situation.sampled)):
                continue
            decided = {
                n: situation.sampled[n]
                for n in (parameter.when if parameter else ())
                if n in situation.sampled
            }
            return " and ".join(f"{n} is {show(v)}" for n, v in decided.items())
        return None

    def idle(self, name: str, situation: Situation) -> str:
        """Return the decider that leaves a field without effect in a situation, or an empty string."""
        values, (section, _, field) = situation.deciders, name.rpartition(".")
        if section == "distill" and field not in DISTILL_FIELDS:
            return "" if _has(self.catalog.losses, values["distill.loss"], field) else "distill.loss"
        if section in ("teacher.options", "student.options"):
            model = f"{section.removesuffix('.options')}.model"
            return "" if field in self.catalog.models.get(values[model], Options()) else model
        if name in OF_STUDENT and (values["student.model"] == FROM_TEACHER) is not OF_STUDENT[name]:
            return "student.model"
        if section == "train.teacher" and values["teacher.checkpoint"] and values["teacher.head"] == "keep":
            return "teacher.checkpoint"
        if name in ("teacher.head", "teacher.checkpoint_key") and not values["teacher.checkpoint"]:
            return "teacher.checkpoint"
        pruning = name.startswith(("prune.", "train.recover.")) and name != "prune.method"
        if pruning and values["prune.method"] == NO_PRUNING:
            return "prune.method"
        if name == "prune.weights" and not self.catalog.has("removes weights", values["prune.method"]):
            return "prune.method"
        if section == "prune.params" and not _has(self.catalog.methods, values["prune.method"], field):
            return "prune.method"
        if (section == "train.recover" or name == "prune.recovery") and values["prune.at"] == "init":
            return "prune.at"
        if section == "train.recover" and values["prune.recovery"] == "none":
            return "prune.recovery"
        if name == "prune.rewind_epoch" and values["prune.at"] == "init":
            return "prune.at"
        if name == "prune.rewind_epoch" and values["prune.recovery"] != "rewind":
            return "prune.recovery"
        if name == "prune.rounds" and values["prune.schedule"] not in ("linear", "exponential"):
            return "prune.schedule"
        return ""


def _deciders(name: str) -> tuple[str, ...]:
    if name.startswith("distill."):
        return ("distill.loss",)
    if name.startswith(("teacher.options.", "student.options.")):
        return (name.replace("options", "model", 1).rpartition(".")[0],)
    if name in OF_STUDENT:
        return ("student.model",)
    if name.startswith("train.teacher."):
        return ("teacher.checkpoint", "teacher.head")
    if name in ("teacher.head", "teacher.checkpoint_key"):
        return ("teacher.checkpoint",)
    if name.startswith("train.recover."):
        return ("prune.method", "prune.recovery", "prune.at")
    if name.startswith("prune."):
        others = {
            "prune.rounds": ("prune.schedule",),
            "prune.recovery": ("prune.at",),
            "prune.rewind_epoch": ("prune.recovery", "prune.at"),
        }
        return ("prune.method", *others.get(name, ()))
    return ()


def _has(parts: Mapping[str, type[Any]], part: object, field: str) -> bool:
    return isinstance(part, str) and part in parts and field in parts[part].__dataclass_fields__
