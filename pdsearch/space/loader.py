"""How does a space file become a Space? Read, overridden, validated by section, checked as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from pdsearch.durable import UnfitFileError, open_regular
from pdsearch.errors import ConfigError
from pdsearch.space.assembly import assemble
from pdsearch.space.catalog import Catalog, registered
from pdsearch.space.checks import check_whole
from pdsearch.space.complaints import add_complaints
from pdsearch.space.conditions import check_conditions
from pdsearch.space.document import Mark, Node, Path, dotted, from_plain, mark_of, to_plain
from pdsearch.space.draft import Draft, given_in
from pdsearch.space.given import check_conflicts, check_part_values
from pdsearch.space.limits import read_constraints
from pdsearch.space.model import Space
from pdsearch.space.overrides import apply_overrides
from pdsearch.space.own_code import with_own_code
from pdsearch.space.parameters import read_space
from pdsearch.space.problems import Problems, show
from pdsearch.space.published import with_published
from pdsearch.space.reader import MAX_BYTES, read_yaml
from pdsearch.space.retired import without_retired
from pdsearch.space.sections import File
from pdsearch.space.selectable import selectable_in
from pdsearch.space.sense import check_sense

__all__ = ["load", "parse"]

MOST_PARAMETERS = 64


def load(path: str | FilePath, overrides: Sequence[str] = (), *, catalog: Catalog | None = None) -> Space:
    """Read and validate a space file.

    Args:
        path: The YAML file, at most 1 MB.
        overrides: `dotted=value` texts that replace or add values before validation.
        catalog: The names in force; None takes what is registered.

    Raises:
        ConfigError: Whatever is wrong with it: each problem with line, column, key and what to do.
    """
    root = read_yaml(_content(FilePath(path)), str(path))
    return _space(root, str(path), FilePath(path).stem, overrides, catalog)


def parse(
    document: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "space",
    study: str = "study",
    catalog: Catalog | None = None,
) -> Space:
    """Validate a space given as plain values, such as `Space.to_json` returns.

    Args:
        document: The sections.
        overrides: As in `load`.
        source: What messages call the document.
        study: Name of the study where the document has none.
        catalog: As in `load`.

    Raises:
        ConfigError: As in `load`, without lines.
    """
    return _space(from_plain(document, Mark(source)), source, study, overrides, catalog)


def _content(path: FilePath) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(MAX_BYTES + 1)
    except UnfitFileError as error:
        raise ConfigError(error.what, where=show(str(path)), hint="name a file") from None
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path), hint="check the path") from None
    except IsADirectoryError:
        raise ConfigError("a folder, not a file", where=str(path), hint="name the space file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot be read: {reason}", where=show(str(path)), hint="check the path") from None


def _space(root: Node, source: str, study: str, overrides: Sequence[str], catalog: Catalog | None) -> Space:
    root, notes = without_retired(apply_overrides(root, overrides))
    problems = Problems(source)
    if not isinstance(root.value, dict):
        what = "the file is empty" if root.value is None else "the file is not a mapping of sections"
        problems.add(what, root.mark, hint="begin with `data:`; search_spaces/ has examples")
        problems.check()
    if isinstance(root.value, dict) and "study" not in root.value:
        root.value["study"] = Node(root.mark, study)
    _refuse_nothing(root, (), problems)
    names = with_published(registered(), root) if catalog is None else catalog
    names = with_own_code(names, root, problems)
    selectable = selectable_in(root, names)
    file = _sections(root, problems, names)
    declared = read_space(root, problems, names, selectable)
    if len(declared.parameters) > MOST_PARAMETERS:
        what = f"{len(declared.parameters)} searched parameters"
        mark = mark_of(root, ("space",), key=True)
        problems.add(what, mark, key="space", hint=f"search {MOST_PARAMETERS} at most, and fix the others")
        problems.check()
    check_conditions(root, declared, problems)
    problems.check()
    if file is None:
        raise ConfigError("not a space file", where=source)
    draft = Draft(root, file, declared, given_in(file), names, problems)
    check_conflicts(draft)
    check_part_values(draft, selectable)
    constraints = read_constraints(file.constraints, root, problems)
    problems.check()
    check_whole(draft)
    problems.check()
    space = assemble(draft, selectable, constraints, study)
    space = replace(space, notes=(*notes, *space.notes))
    check_sense(draft, space)
    problems.check()
    return space


def _refuse_nothing(node: Node, path: Path, problems: Problems) -> None:
    """Refuse keys without a value: no field of a space file can be nothing."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            _refuse_nothing(child, (*path, key), problems)
    elif isinstance(node.value, list):
        for i, child in enumerate(node.value):
            _refuse_nothing(child, (*path, i), problems)
    elif node.value is None:
        problems.add("no value", node.mark, key=dotted(path), hint="give it one, or remove the key")


def _sections(root: Node, problems: Problems, catalog: Catalog) -> File | None:
    try:
        return File.model_validate(to_plain(root), context=catalog)
    except ValidationError as error:
        add_complaints(error, File, root, problems)
        return None
