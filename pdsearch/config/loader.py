"""Loader of space files and `--set` overrides: read, override, validate each section, check the whole."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from pdsearch.config.catalog import NO_PRUNING, Selectable, registered_names, selectable_in
from pdsearch.config.checks.consistency import (
    check_conflicts,
    check_part_values,
    check_whole,
    count_configurations,
    is_validated,
)
from pdsearch.config.checks.draft import Draft, given_in
from pdsearch.config.checks.feasibility import check_sense
from pdsearch.config.field_rules import parts_of, section_defaults
from pdsearch.config.parameters import check_conditions, read_space
from pdsearch.config.problems import Problems, add_complaints, quoted
from pdsearch.config.resolve import PRUNING_ONLY, in_order
from pdsearch.config.sections import File, SearchSection
from pdsearch.config.serialize import drop_retired
from pdsearch.config.space import Halving, Search, Space
from pdsearch.config.validators import METRICS, read_constraints
from pdsearch.config.yaml_reader import MAX_BYTES, apply_overrides, read_yaml
from pdsearch.config.yaml_tree import Mark, Node, dotted, every_node, from_plain, mark_of, to_plain
from pdsearch.errors import ConfigError
from pdsearch.io.durable import UnfitFileError, open_regular
from pdsearch.objectives import Constraint, Objective, better_goal
from pdsearch.records.codec import frozen
from pdsearch.specs import Params
from pdsearch.user_code import look_in


def _assembled(
    draft: Draft, selectable: Selectable, constraints: tuple[Constraint, ...], study: str
) -> Space:
    """Return the space that a checked draft describes, with every default filled in."""
    from pdsearch.config.checks.advice import (  # Imports torch, which the registries have imported by now.
        notes_on,
        warnings_on,
    )

    file, confirm = draft.file, draft.file.confirm
    # Without validation images nothing is selected: teachers have no order, and all are confirmed.
    every = None if is_validated(draft) else count_configurations(draft) or 1
    if confirm is not None and every is not None:
        confirm = confirm.model_copy(update={"teachers": every})
    return Space(
        study=file.study or study,
        fixed=_fixed(draft, selectable),
        parameters=in_order(draft.parameters),
        part_defaults=_parts(selectable, later=False),
        part_laters=_parts(selectable, later=True),
        search=_search(file.search, every or 1),
        objectives=_objectives(file, METRICS[0] if every is None else METRICS[1]),
        constraints=constraints,
        confirm=confirm,
        resources=file.resources,
        precision=file.precision,
        storage=file.storage,
        warnings=warnings_on(draft),
        notes=notes_on(draft),
    )


def _fixed(draft: Draft, selectable: Selectable) -> Params:
    values = {**section_defaults(), **draft.fixed}
    dense = set(selectable.methods) == {NO_PRUNING}
    return tuple(
        (name, frozen(value))
        for name, value in sorted(values.items())
        if name not in draft.parameters
        and not (dense and name.startswith(PRUNING_ONLY) and name != "prune.method")
    )


def _parts(selectable: Selectable, *, later: bool) -> tuple[tuple[str, Params], ...]:
    """Return the defaults of the selectable parts: of their original parameters, or of those added later."""
    parts = {f"distill.{name}": params for name, params in parts_of("distill", selectable).items()}
    parts |= {f"prune.{name}": params for name, params in parts_of("prune.params", selectable).items()}
    found = {part: _defaults(params, later=later) for part, params in parts.items()}
    return tuple((part, values) for part, values in sorted(found.items()) if values or not later)


def _defaults(params: type[Any], *, later: bool) -> Params:
    """Return a part's defaults by name; see `later` of `pdsearch.registry.parameter`."""
    named = {f.name for f in fields(params) if bool(f.metadata.get("later")) is later}
    return tuple((name, frozen(getattr(params(), name))) for name in sorted(named))


def _search(search: SearchSection, least: int) -> Search:
    stop = None
    if search.stop is not None:
        halving = search.stop.halving
        stop = Halving(search.stop.metric or METRICS[0], halving.min_epochs, halving.factor)
    return Search(**search.model_dump() | {"stop": stop, "trials": search.trials or least})


def _objectives(file: File, usual: str) -> tuple[Objective, ...]:
    """Return the objectives; Optuna needs one also where, without validation images, it decides nothing."""
    if not file.objectives:
        return (Objective(usual, better_goal(usual)),)
    return tuple(Objective(o.metric, o.goal or better_goal(o.metric)) for o in file.objectives)


MOST_PARAMETERS = 64
MOST_NAMED = 8
MOST_TRIES = 4
"""Removing a wrong value can leave its section without a required one; then that is removed, and so on."""


def load(path: str | FilePath, overrides: Sequence[str] = ()) -> Space:
    """Read and validate a space file.

    Args:
        path: The YAML file, at most 1 MB.
        overrides: `dotted=value` strings that replace or add values before validation.

    Raises:
        ConfigError: It has mistakes: each is listed with line, column, key and what to do.
    """
    root = read_yaml(_content(FilePath(path)), str(path))
    look_in(FilePath(path).parent)
    return _space(root, str(path), FilePath(path).stem, overrides)


def parse(document: Mapping[str, object], overrides: Sequence[str] = (), *, source: str = "space") -> Space:
    """Validate a space given as plain values, such as those that `Space.to_json` returns.

    Args:
        document: The sections.
        overrides: As in `load`.
        source: Name of the document in messages.

    Raises:
        ConfigError: As in `load`, without lines.
    """
    return _space(from_plain(document, Mark(source)), source, "study", overrides)


def _content(path: FilePath) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(MAX_BYTES + 1)
    except UnfitFileError as error:
        raise ConfigError(error.what, where=quoted(str(path)), hint="name a file") from None
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path), hint=_nearby(path)) from None
    except IsADirectoryError:
        raise ConfigError("a folder, not a file", where=str(path), hint="name the space file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot be read: {reason}", where=quoted(str(path)), hint="check the path"
        ) from None


def _nearby(path: FilePath) -> str:
    """Return a hint that names the space file that was probably meant, or those there are."""
    with suppress(OSError):
        folders = {FilePath(), path.parent, FilePath("search_spaces")}
        found = sorted(str(file) for folder in folders for file in folder.glob("*.y*ml") if file.is_file())
        near = get_close_matches(path.name, [FilePath(file).name for file in found], n=1)
        meant = next((file for file in found if near and FilePath(file).name == near[0]), None)
        if meant:
            return f"did you mean {meant}?"
        if found:
            return f"there are: {', '.join(found[:MOST_NAMED])}{', ...' if len(found) > MOST_NAMED else ''}"
    return "`pdsearch init` writes one for your data, `pdsearch demo` an example"


def _space(root: Node, source: str, study: str, overrides: Sequence[str]) -> Space:
    root = apply_overrides(root, overrides)
    notes = drop_retired(root)
    problems = Problems(source)
    if not isinstance(root.value, dict):
        what = "the file is empty" if root.value is None else "the file is not a mapping of sections"
        problems.refuse(what, root.mark, "begin with `data:`; search_spaces/ has examples")
    if "study" not in root.value:
        root.value["study"] = Node(root.mark, study)
    for path, node in every_node(root):
        if node.value is None:  # No field of a space file can be null.
            problems.add("no value", node.mark, key=dotted(path), hint="give it one, or remove the key")
    selectable = selectable_in(root, problems)
    file = _sections(root, problems)
    declared = read_space(root, problems, selectable)
    if len(declared.parameters) > MOST_PARAMETERS:
        what = f"{len(declared.parameters)} searched parameters"
        hint = f"search {MOST_PARAMETERS} at most, and fix the others"
        problems.add_at(root, ("space",), what, hint, of_key=True)
        problems.check()
    check_conditions(root, declared, problems)
    if file is None:
        problems.check()
        raise ConfigError("not a space file", where=source)
    draft = Draft(root, file, declared, given_in(file), problems)
    check_conflicts(draft)
    if selectable.sure_methods and selectable.sure_losses and selectable.sources:
        check_part_values(draft, selectable)
    constraints = read_constraints(file.constraints, root, problems)
    check_whole(draft)
    problems.check()
    space = _assembled(draft, selectable, constraints, study)
    space = replace(space, notes=(*notes, *space.notes), places=dict(_places(root, source)))
    check_sense(draft, space)
    problems.check()
    return space


def _places(root: Node, source: str) -> Iterator[tuple[str, str]]:
    """Yield every key of a file or an option, without "space." before those that are searched, and where it is."""
    for path, _ in every_node(root):
        mark = mark_of(root, path, key=True)
        if path and (mark.line or mark.source != source):
            yield dotted(path).removeprefix("space."), str(mark)


def _sections(root: Node, problems: Problems) -> File | None:
    """Return the validated sections, without the values that are wrong; None where none can be read without them."""
    document: Any = to_plain(root)
    for _ in range(MOST_TRIES):
        try:
            return File.model_validate(document)
        except ValidationError as error:
            add_complaints(error, File, root, problems)
            for item in error.errors(include_url=False):
                data = document.get("data")
                if item["loc"] == ("data", "source") and isinstance(data, dict):
                    # The only field without which nothing is read.
                    data["source"] = registered_names("data.source")[0]
                elif not _dropped(document, item["loc"]):
                    return None
    return None


def _dropped(document: object, loc: tuple[str | int, ...]) -> bool:
    """Remove the innermost key on the way to a place, so that the rest can be checked; return whether there was one."""
    holder, last = None, None
    for step in loc:
        if not isinstance(document, dict) or step not in document:
            break
        holder, last, document = document, step, document[step]
    if holder is None:
        return False
    holder.pop(last)
    return True
