"""Fuzzing of the space reader: mutants of the shipped spaces, and bombs, are loaded or refused, never worse.

A file is read as `pdsearch check` reads it, and what is accepted is resolved and written down again. Anything but a
space or one ConfigError counts, and so does more than a second of processor time.
"""

import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.campaign import options, publish
from pdsearch.config import load, parse
from pdsearch.errors import ConfigError
from tests.config.mutations import mutant

SLOW_S = 1.0


def read(file: Path) -> str:
    """Read a space file as a person's; return "accepted" or "refused", or what else happened."""
    try:
        space = load(file)
    except ConfigError as error:
        return "refused" if str(error) else "refused without a word"
    except Exception:
        return traceback.format_exc()
    try:
        space.resolve(space.defaults())
        again = parse(space.to_json())
        return "accepted" if again.identity() == space.identity() else "reads back as another"
    except Exception:
        return traceback.format_exc()


def main(words: Sequence[str] | None = None) -> None:
    """Read so many files."""
    parser = options(__doc__, n=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    asked = parser.parse_args(words)
    ends: Counter[str] = Counter()
    defects: dict[int, str] = {}
    took: list[tuple[float, int]] = []
    slow = 0
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        file = Path(name) / "space.yaml"
        for once in ("digits", "self_distillation"):  # What is loaded once is no file's doing.
            load(Path(f"search_spaces/{once}.yaml"))
        import pdsearch.models.torchvision  # noqa: F401 - likewise

        for number in range(asked.first, asked.first + asked.n):
            file.write_bytes(mutant(number, asked.seed))
            start = time.process_time()
            end = read(file)
            seconds = time.process_time() - start
            slow += seconds > SLOW_S
            took = sorted([*took, (seconds, number)])[-5:]
            ends[end if end in ("accepted", "refused") else "defect"] += 1
            if end not in ("accepted", "refused"):
                defects[number] = end
                print(f"file {number}: {end}", flush=True)
    seen: dict[str, Any] = {
        **ends,
        "slower than a second": slow,
        "slowest, s of processor time": [round(seconds, 3) for seconds, _ in reversed(took)],
        "slowest files": [number for _, number in reversed(took)],
        "defects": {str(number): text.strip().splitlines()[-1] for number, text in defects.items()},
    }
    publish("fuzz", seen, asked)


if __name__ == "__main__":
    main()
