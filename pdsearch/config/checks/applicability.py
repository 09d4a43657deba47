"""Checks that every sampled parameter has an effect and every needed field has a value.

Both are checked by enumerating all combinations of the choices involved, conditions respected.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from pdsearch.config.catalog import FROM_TEACHER, NO_PRUNING, has, model_options, params_of
from pdsearch.config.problems import quoted
from pdsearch.config.resolve import SCHEDULES_WITH_ROUNDS, combinations, in_order
from pdsearch.config.sections import DistillSection
from pdsearch.config.space import Parameter

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


OF_REMOVAL = {"prune.weights": "removes weights", "prune.round_to": "removes channels"}
"""What a method must do, as the catalog calls it, for a field of pruning to have an effect."""


DISTILL_FIELDS = frozenset(DistillSection.model_fields)
"""Fields of `distill` that are no parameter of a loss."""


Situation: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any]]
"""One combination: the choices sampled in it, and the value of every decider."""

Decider: TypeAlias = tuple[str, Callable[[Mapping[str, Any]], bool]]
"""A field, and whether the values of all deciders leave another field without effect because of it."""


@dataclass(frozen=True)
class Reach:
    """The combinations a space allows.

    Args:
        parameters: Searched parameters, their conditions already checked.
        fixed: Fixed values.
    """

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, Any]

    def situations(self, name: str) -> Iterator[Situation]:
        """Yield the combinations of the deciders and of the parameters a field depends on, 1,000 at most."""
        involved: dict[str, Parameter] = {}
        deciders = [decider for decider, _ in self.deciders(name)]
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
            yield sampled, base | {n: v for n, v in sampled.items() if n in DECIDERS}

    def values(self, decider: str) -> tuple[Any, ...]:
        """Return the values a decider can take."""
        if decider in self.parameters:
            return self.parameters[decider].choices
        return (self.fixed.get(decider, DECIDERS[decider]),)

    def without_effect(self, name: str) -> tuple[str, tuple[Any, ...], tuple[Any, ...]] | None:
        """Return where a field has no effect: the decider, its values in that case, and its other values."""
        vain: dict[str, list[Any]] = {}
        parameter = self.parameters.get(name)
        for sampled, deciders in self.situations(name):
            decider = self.idle(name, deciders)
            if decider and (parameter is None or parameter.active(sampled)):
                vain.setdefault(decider, []).append(deciders[decider])
        for decider, values in vain.items():
            others = tuple(v for v in self.values(decider) if v not in values)
            return decider, tuple(dict.fromkeys(values)), others
        return None

    def never(self, name: str) -> dict[str, list[Any]]:
        """Return what leaves a field without effect in every situation: by decider; {} if it has one."""
        vain: dict[str, list[Any]] = {}
        for _, deciders in self.situations(name):
            decider = self.idle(name, deciders)
            if not decider:
                return {}
            values = vain.setdefault(decider, [])
            values += [value] if (value := deciders[decider]) not in values else []
        return vain

    def missing(self, name: str) -> str | None:
        """Describe a combination in which a field has an effect but no value; None if there is none."""
        if name in self.fixed:
            return None
        parameter = self.parameters.get(name)
        for sampled, deciders in self.situations(name):
            if self.idle(name, deciders) or (parameter is not None and parameter.active(sampled)):
                continue
            decided = {n: sampled[n] for n in (parameter.when if parameter else ()) if n in sampled}
            return " and ".join(f"{n} is {quoted(v)}" for n, v in decided.items())
        return None

    def idle(self, name: str, values: Mapping[str, Any]) -> str:
        """Return the decider that leaves a field without effect by the deciders' values, or an empty string."""
        return next((decider for decider, leaves_idle in self.deciders(name) if leaves_idle(values)), "")

    def deciders(self, name: str) -> list[Decider]:
        """Return what may leave a field without effect, in order, each with whether the deciders' values do."""
        section, _, field = name.rpartition(".")
        if section == "distill" and field not in DISTILL_FIELDS:
            return [("distill.loss", lambda v: not _takes("distill.loss", v, field))]
        if section in ("teacher.options", "student.options"):
            model = f"{section.removesuffix('.options')}.model"
            return [(model, lambda v: field not in model_options(v[model]))]
        if name in OF_STUDENT:
            return [("student.model", lambda v: (v["student.model"] == FROM_TEACHER) is not OF_STUDENT[name])]
        if section == "train.teacher":
            kept = lambda v: bool(v["teacher.checkpoint"]) and v["teacher.head"] == "keep"  # noqa: E731
            return [("teacher.checkpoint", kept), ("teacher.head", lambda _: False)]
        if name in ("teacher.head", "teacher.checkpoint_key"):
            return [("teacher.checkpoint", lambda v: not v["teacher.checkpoint"])]
        return self._deciders_of_pruning(name, section, field)

    def _deciders_of_pruning(self, name: str, section: str, field: str) -> list[Decider]:
        if section not in ("prune", "prune.params", "train.recover") or name == "prune.method":
            return []
        recovers = section == "train.recover"
        found: list[Decider] = [("prune.method", lambda v: v["prune.method"] == NO_PRUNING)]
        if name in OF_REMOVAL:
            found.append(("prune.method", lambda v: not has(OF_REMOVAL[name], v["prune.method"])))
        if section == "prune.params":
            found.append(("prune.method", lambda v: not _takes("prune.method", v, field)))
        if recovers or name in ("prune.recovery", "prune.rewind_epoch"):
            found.append(("prune.at", lambda v: v["prune.at"] == "init"))
        if recovers:
            found.append(("prune.recovery", lambda v: v["prune.recovery"] == "none"))
        if name == "prune.rewind_epoch":
            found.append(("prune.recovery", lambda v: v["prune.recovery"] != "rewind"))
        if name == "prune.rounds":
            found.append(("prune.schedule", lambda v: v["prune.schedule"] not in SCHEDULES_WITH_ROUNDS))
        return found


def _takes(selected_by: str, deciders: Mapping[str, Any], field: str) -> bool:
    params = params_of(selected_by, str(deciders[selected_by]))
    return params is not None and field in params.__dataclass_fields__
