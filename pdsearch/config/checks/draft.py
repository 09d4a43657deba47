"""A document's fields by dotted name, with their positions, before the checks of the whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pdsearch.config.field_rules import FREE_GROUPS, SECTIONS, path_of
from pdsearch.config.parameters import Declarations
from pdsearch.config.problems import Problems
from pdsearch.config.sections import File
from pdsearch.config.space import Parameter
from pdsearch.config.yaml_tree import Mark, Node, Path, dotted, mark_of


@dataclass
class Draft:
    """A document under validation.

    Args:
        root: The document's tree, for positions.
        file: The validated sections.
        declared: The validated entries of `space`.
        given: Values given in sections, by dotted name.
        problems: The mistakes found so far.
    """

    root: Node
    file: File
    declared: Declarations
    given: dict[str, Any]
    problems: Problems

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The searched parameters, by name."""
        return self.declared.parameters

    @property
    def fixed(self) -> dict[str, Any]:
        """The values fixed in sections and under `space`, without defaults."""
        return self.given | self.declared.fixed

    def key_of(self, name: str) -> Path:
        """Return the path at which a dotted name is given in the document, or would be."""
        return ("space", name) if name in self.declared.marks else path_of(name)

    def mark(self, name: str) -> Mark:
        """Return the position of a dotted name."""
        return mark_of(self.root, self.key_of(name), key=True)

    def complain(self, what: str, name: str, hint: str) -> None:
        """Report a problem of a dotted name, unless it, or the section around it, has one already."""
        self.complain_of(name, [(what, hint)])

    def complain_of(self, name: str, problems: Iterable[tuple[str, str]]) -> None:
        """Report several problems of a dotted name, each with its hint, as `complain` does one."""
        key = dotted(self.key_of(name))
        if not self.problems.flagged(key):
            for what, hint in problems:
                self.problems.add(what, self.mark(name), key=key, hint=hint)

    def possible(self, name: str, default: object = None) -> list[Any]:
        """Return the values a field can take: a fixed one, choices, the ends of a range, or a default."""
        parameter = self.parameters.get(name)
        if parameter is None:
            return [self.fixed.get(name, default)]
        values = (
            list(parameter.choices) if parameter.kind == "categorical" else [parameter.low, parameter.high]
        )
        return [*values, default] if parameter.when and default is not None else values


def given_in(file: File) -> dict[str, object]:
    """Return the values given in the sections of a trial, by dotted name."""
    given: dict[str, object] = {}
    for prefix in SECTIONS:
        section: BaseModel = file
        for step in prefix.split("."):
            section = getattr(section, step)
        for field in sorted(section.model_fields_set):
            value = getattr(section, field)
            if f"{prefix}.{field}" in FREE_GROUPS:
                given |= {f"{prefix}.{field}.{name}": option for name, option in value.items()}
            else:
                given[f"{prefix}.{field}"] = value
    return given
