"""What campaigns of faults share: options, comparison of finished records, checks of invariants, publication."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware, versions
from pdsearch.io import Place, entry_names, read
from pdsearch.search.verify import check_invariants


def finished(study: Place) -> dict[str, dict[str, Any]]:
    """Return a study's finished records by name."""
    trials = study / "trials"
    found = [name for name in entry_names(trials) if name.endswith(".finished.json")]
    return {name: json.loads(read(trials / name) or b"{}") for name in found}


def same(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> bool:
    """Say whether everything that had finished is still there and unchanged, and no key finished twice."""
    keys = [(r["kind"], r["key"]) for r in after.values() if r["state"] != "failed"]
    return all(after.get(name) == record for name, record in before.items()) and len(keys) == len(set(keys))


def ending(study: Place) -> dict[str, Any]:
    """Return how a study that faults had met stands at its end, every file of every artifact hashed."""
    records = finished(study).values()
    return {
        "trials failed": sum(record["state"] == "failed" for record in records),
        "trials finished": len(records),
        "promises broken at the end": [str(broken) for broken in check_invariants(study, deep=True)],
    }


def options(description: str | None, *, n: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all campaigns have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--n", type=int, default=n, help="how often")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    parser.add_argument("--json", type=Path, help="write the results to this file as well")
    return parser


def publish(name: str, seen: dict[str, Any], asked: argparse.Namespace) -> None:
    """Print what a campaign saw, and on what; write it to a file if there is one."""
    command = f"python -m benchmarks.{name} {' '.join(_told(sys.argv[1:]))}".strip()
    content = {
        "campaign": name,
        "command": command,
        "n": asked.n,
        "seed": asked.seed,
        "hardware": hardware(),
        "versions": versions(),
        "seen": seen,
    }
    text = json.dumps(content, indent=1)
    print(text)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(text + "\n")


def _told(words: list[str]) -> list[str]:
    """Leave out where the results go."""
    place = words.index("--json") if "--json" in words else len(words)
    return words[:place] + words[place + 2 :]
