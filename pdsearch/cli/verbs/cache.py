"""`pdsearch cache`: list, check and clear out the artifacts of a storage."""

import json
from collections import defaultdict
from enum import StrEnum
from typing import Annotated

import typer

from pdsearch.artifacts import ArtifactStore, Holding, open_store
from pdsearch.artifacts.gc import candidates, collect, entries_in_use, total_bytes
from pdsearch.cli.console import parse_size, print_lines, print_note, print_table, size
from pdsearch.errors import ConfigError, StorageError, StudyHeldError
from pdsearch.io import Place, check_usable, resolved, subfolders


class Action(StrEnum):
    """What to do."""

    LS = "ls"
    GC = "gc"
    VERIFY = "verify"


def cache(
    action: Annotated[Action, typer.Argument(help="List, collect what no study uses, or check all.")],
    storage: Annotated[str, typer.Argument(help="The storage, as in the space file.")] = "runs",
    max_size: Annotated[
        str | None, typer.Option(help="gc: remove no more than it takes to get below, e.g. 50GB.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="gc: also what studies use; it is made again when it is needed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="gc: only say what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="ls and verify: write JSON.")] = False,
) -> None:
    """Look at, clear out or check the artifacts of a storage."""
    _refuse(
        action, {"--max-size": max_size is not None, "--all": every, "--dry-run": dry_run, "--json": as_json}
    )
    root = resolved(storage)
    check_usable(root)
    if "artifacts" not in subfolders(root):
        raise ConfigError("holds no artifacts", where=str(root), hint="name the storage, e.g. runs")
    store = open_store(root / "artifacts")
    if action is Action.VERIFY:
        _verify(store, as_json)
        return
    from pdsearch.search.maintenance import used_artifacts

    known = used_artifacts(root)
    entries = list(entries_in_use(store, known.artifacts))
    if action is Action.LS:
        for broken in known.torn:
            print_note(f"note: {broken}; what it named counts as used by no study")
        _list(entries, as_json)
        return
    if known.torn and not every:
        raise StorageError(
            f"{known.torn[0].reason}: which artifacts it named is not known, and they would go",
            where=str(known.torn[0].path),
            hint="run its study again: that sets the record aside and asks its trial again; then collect",
        )
    limit = None if max_size is None else parse_size(max_size)
    # A dense teacher is small, the most expensive to build, and named by no record before its first trial has ended.
    chosen = candidates(
        [entry for entry in entries if every or entry.stage != "teacher"], max_bytes=limit, every=every
    )
    _collect(store, root, chosen, dry_run)


def _refuse(action: Action, given: dict[str, bool]) -> None:
    """Refuse an option that the action would ignore, since the user expects it to have an effect."""
    options = {"--json"} if action is not Action.GC else {"--max-size", "--all", "--dry-run"}
    for option, is_given in given.items():
        if is_given and option not in options:
            hint = f"cache {action} takes {', '.join(sorted(options))}"
            raise ConfigError(f"cache {action} has no {option}", hint=hint)


def _collect(store: ArtifactStore, root: Place, chosen: list[Holding], dry_run: bool) -> None:
    from pdsearch.search.maintenance import drivers

    if dry_run:
        print_lines([f"{entry.stage}/{entry.key}  {size(entry.size)}" for entry in chosen])
        print_lines([f"{len(chosen)} artifacts would go, {size(total_bytes(chosen))}"])
        return
    for folder, owner in drivers(root):
        raise StudyHeldError(
            f"{owner} runs {folder.name}; what it uses now stands in no record yet",
            where=str(root),
            hint="wait for it to end, or stop it, then collect",
        )
    freed = collect(store, chosen)
    print_lines([f"{len(chosen)} artifacts removed, {size(freed)} freed"])


def _list(entries: list[Holding], as_json: bool) -> None:
    stages: dict[str, list[Holding]] = defaultdict(list)
    for entry in entries:
        stages[entry.stage].append(entry)
    rows = [
        (stage, len(group), total_bytes(group), total_bytes([entry for entry in group if not entry.named]))
        for stage, group in sorted(stages.items())
    ]
    if as_json:
        names = ("stage", "artifacts", "bytes", "unused_bytes")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return
    shown = [(stage, str(count), size(total), size(unused)) for stage, count, total, unused in rows]
    print_table(
        ("stage", "artifacts", "size", "used by no study"), shown, numeric=(False, True, True, True), repeat=1
    )


def _verify(store: ArtifactStore, as_json: bool) -> None:
    names = [(item.stage, item.key) for item in store.holdings()]
    broken = [(stage, key, said) for stage, key in names if (said := store.complaint(stage, key))]
    if as_json:
        print(json.dumps([{"stage": s, "key": k, "what": what} for s, k, what in broken], indent=2))
    else:
        print_lines([f"{stage}/{key}: {what}" for stage, key, what in broken])
        print_lines(
            [
                f"{len(names)} artifacts checked, {len(broken)} broken; the next trial that needs one makes it anew"
            ]
        )
    if broken:
        raise typer.Exit(1)
