"""The public functions: search a space, look at a study, export from it.

Everything that `import pdsearch` offers is listed in `pdsearch/__init__.py` and documented in docs/api.md.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdsearch.analysis.forms import as_arrow, epochs_as_arrow
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.config import Space, load
from pdsearch.io import Place, place
from pdsearch.io.record_files import read_finished
from pdsearch.io.studies import Accept, description
from pdsearch.observer import Observer, Observers
from pdsearch.records.trial_record import TrialRecord

if TYPE_CHECKING:
    import pyarrow

    from pdsearch.exporting.bundle import Exported


class StudyResults:
    """The results of a study so far, read from its records alone; a driver may be running it.

    Args:
        folder: Of the study, or of a copy.
    """

    def __init__(self, folder: str | Path | Place) -> None:
        self.folder = place(str(folder))
        self._about = description(self.folder)
        found = read_finished(self.folder / "trials", self._about.space)
        self.trials: tuple[TrialRecord, ...] = tuple(found.found.values())
        """Every trial that ended, by id: parameters, values, and `reports`, its curve by epoch."""
        self.damaged: tuple[str, ...] = tuple(map(str, found.broken))
        """Records that cannot be read, each with the reason."""

    @property
    def name(self) -> str:
        """The study's name."""
        return self._about.study

    @property
    def space(self) -> Mapping[str, Any]:
        """The space as the study recorded it, every default included."""
        return self._about.space.form

    def ranking(self) -> Ranking:
        """Return the teachers, ranked by what their students achieve, as `pdsearch rank` prints them."""
        return rank_teachers(read_study(self.folder))

    def best(self) -> Ranked | None:
        """Return the first teacher of the ranking; None while it is not confirmed."""
        first = next(iter(self.ranking().top(1)), None)
        return first if first is not None and first.confirmed else None

    def table(self) -> "pyarrow.Table":
        """Return all trials as an Arrow table, one row a trial; docs/results_schema.md has the columns."""
        return as_arrow(read_study(self.folder))

    def curves(self) -> "pyarrow.Table":
        """Return all reports as an Arrow table, one row an epoch; docs/results_schema.md has the columns."""
        return epochs_as_arrow(read_study(self.folder))


def load_space(path: str | Path, overrides: Sequence[str] = ()) -> Space:
    """Read and check a space file.

    Args:
        path: The file's.
        overrides: Texts `dotted.name=value`, as `--set` takes them.

    Raises:
        ConfigError: The file is not valid; the message names line and key.
    """
    return load(Path(path), overrides=tuple(overrides))


def run(
    space: Space | str | Path,
    *,
    serial: bool = False,
    address: str | None = None,
    workers: int | None = None,
    accept_code: bool = False,
    redo: bool = False,
    observers: Sequence[Observer] = (),
) -> StudyResults:
    """Search a space, or resume its study where an earlier call or command ended; return the results.

    In the main thread, Ctrl-C and the signals of docs/exit_codes.md let running trials save their progress.

    Args:
        space: A space, or the path of its file.
        serial: One trial at a time in this process, without Ray.
        address: Of a Ray cluster, "auto", or "local" for this machine; None uses RAY_ADDRESS.
        workers: Concurrent trials; as many as fit if not given.
        accept_code: Go on although own code is another than the study began with: what failed is tried again with it.
        redo: Ask what finished with earlier own code again, too.
        observers: Hear what happens; see `Observer`. One that fails is left out, with a RuntimeWarning.

    Raises:
        ConfigError: The space or the address is wrong, or the study exists with another space; nothing was started.
        DataError: The data set is missing or broken.
        FailureLimitError: Too many trials failed.
        Interrupted: A signal came.
        StorageError: The storage cannot be read or written.
    """
    from pdsearch.driver import choose_ray, drive  # loads what runs trials
    from pdsearch.signals import stoppable

    asked = space if isinstance(space, Space) else load(Path(space))
    every = Observers(Observer(), observers, lambda text: warnings.warn(text, RuntimeWarning, stacklevel=2))
    with stoppable(every.say) as stop:
        choice = choose_ray(asked, address, serial=serial)
        study = drive(
            asked,
            every,
            stop,
            choice=choice,
            serial=serial,
            workers=workers,
            accept=Accept(code=accept_code, redo=redo),
        )
    return StudyResults(study.folder)


def open_study(folder: str | Path) -> StudyResults:
    """Open a study for reading, while it runs or afterwards; nothing is written.

    Args:
        folder: `<storage>/<study>`, a copy of it, or its URL.

    Raises:
        ConfigError: The folder is not a study's.
        StorageError: It cannot be read.
    """
    return StudyResults(folder)


def export(
    study: str | Path | StudyResults,
    out: str | Path,
    *,
    top: int = 1,
    trials: Sequence[str] = (),
    force: bool = False,
    onnx: bool = False,
    teacher: bool = False,
    artifacts: str | None = None,
) -> "list[Exported]":
    """Write the best configurations and students of a study, as `pdsearch export` does.

    Args:
        study: A study, or its folder.
        out: Where the exported folders go.
        top: How many teachers, best first.
        trials: Ids of complete trials to export instead, such as the members of a front.
        force: Replace folders of the same name.
        onnx: Write each network as ONNX, too.
        teacher: Write the teacher of each student, pruned as it taught, too.
        artifacts: The artifacts' folder, if it is not beside the study's.

    Raises:
        ConfigError: The study has nothing to export, a folder stands in the way, or a student had no teacher.
        StorageError: An artifact cannot be read, or the export not written.
    """
    from pdsearch.exporting.bundle import export_study  # loads torch

    folder = study.folder if isinstance(study, StudyResults) else place(str(study))
    exported = export_study(
        folder,
        Path(out),
        top=top,
        trials=trials,
        force=force,
        artifacts=artifacts,
        onnx=onnx,
        teacher=teacher,
    )
    return list(exported)
