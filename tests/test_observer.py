"""Observers hear a run whole; what is wrong with one ends neither the run nor the others; the examples work."""

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

import pdsearch
from pdsearch.config import Space, parse
from pdsearch.errors import ConfigError
from pdsearch.observer import load_observer
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.records.trial_record import TrialRecord
from tests.architecture.tree import ROOT

RECIPE = {"epochs": 2, "lr": 0.05, "batch_size": 64}


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")
    document = {
        "study": "small",
        "data": {"source": "digits", "val_fraction": 0.2, "subset": 100},
        "teacher": {"model": "convnet_s"},
        "student": {"model": "convnet_s", "options": {"widths": [4, 4]}},
        "train": {"teacher": RECIPE, "recover": RECIPE, "distill": RECIPE},
        "space": {"distill.temperature": [2.0, 4.0]},
        "search": {"trials": 2, "concurrency": 1, "stop": "off"},
        "confirm": "off",
        "precision": "fp32",
        "storage": str(tmp_path / "runs"),
    }
    return parse(document)


class Heard(pdsearch.Observer):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def opened(self, finished: Iterable[TrialRecord]) -> None:
        self.calls.append(("opened", len(list(finished))))

    def phase(self, name: str, total: int, done: int) -> None:
        self.calls.append(("phase", name, total, done))

    def started(self, job: Job) -> None:
        self.calls.append(("started", job.id))

    def event(self, job: Job, event: Event) -> None:
        if isinstance(event, pdsearch.Report):
            self.calls.append(("epoch", job.id, event.epoch))

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        self.calls.append(("ended", job.id, outcome.state, record.id if record else None))

    def close(self) -> None:
        self.calls.append(("close",))


class Broken(pdsearch.Observer):
    """Fails at the first trial."""

    def started(self, job: Job) -> None:
        raise RuntimeError(f"no room for {job.id}")

    def close(self) -> None:
        raise AssertionError("it hears nothing more")


def test_a_run_is_heard_from_its_opening_to_its_end_and_a_broken_observer_ends_nothing(space: Space) -> None:
    heard = Heard()
    with pytest.warns(RuntimeWarning, match="Broken failed in 'started'.*no room for teacher-") as warned:
        study = pdsearch.run(space, serial=True, observers=[Broken(), heard])
    assert len(warned) == 1
    assert heard.calls[:2] == [("opened", 0), ("phase", "groundwork", 2, 0)]
    teacher = heard.calls[2][1]
    assert heard.calls[2:4] == [("started", teacher), ("ended", teacher, "complete", None)]
    trials = sorted(trial.id for trial in study.trials if trial.kind == "search")
    place = heard.calls.index(("phase", "search", 2, 0)) + 1
    assert heard.calls[place : place + 8] == [
        call
        for one in trials
        for call in (("started", one), ("epoch", one, 1), ("epoch", one, 2), ("ended", one, "complete", one))
    ]
    assert heard.calls[-1] == ("close",)
    again = Heard()
    pdsearch.run(space, serial=True, observers=[again])
    assert again.calls == [("opened", len(study.trials)), ("close",)]


class Refusing(pdsearch.Observer):
    """Is told that the run ends, although the space was refused."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_an_observer_is_told_the_end_of_a_run_that_did_not_begin(space: Space, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    refusing = Refusing()
    with pytest.raises(pdsearch.PdsearchError):
        pdsearch.run(space, serial=True, observers=[refusing])
    assert refusing.closed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def make(space): return 3", "returned int, which is no observer"),
        ("def make(space): raise OSError('no server')", "failed: OSError: no server"),
        ("def other(space): pass", "has no 'make'"),
    ],
)
def test_what_is_no_observer_is_refused(
    source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"observers_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=said):
        load_observer(f"{name}:make", None)


class Writer:
    """Stands in for TensorBoard's, where it is not installed: the files that it writes are text."""

    def __init__(self, folder: str) -> None:
        self.file = Path(folder) / "events.text"
        self.file.parent.mkdir(parents=True)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        with self.file.open("a") as file:
            file.write(f"{step} {name} {value}\n")

    def add_hparams(self, sampled: dict[str, Any], reached: dict[str, float], run_name: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{run_name} {sampled} {reached}\n")

    def close(self) -> None:
        """Nothing is open."""


class Client:
    """Stands in for MLflow's, where it is not installed."""

    runs: ClassVar[list[SimpleNamespace]] = []

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id=name) if self.runs else None

    def create_experiment(self, name: str) -> str:
        return name

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> SimpleNamespace:
        info = SimpleNamespace(
            run_id=len(self.runs), run_name=run_name, experiment_id=experiment, status="RUNNING"
        )
        self.runs.append(SimpleNamespace(info=info, data=SimpleNamespace(params={}, metrics={}, tags=tags)))
        return self.runs[-1]

    def log_param(self, run: int, name: str, value: object) -> None:
        self.runs[run].data.params[name] = str(value)

    def log_metric(self, run: int, name: str, value: float, **_: int) -> None:
        self.runs[run].data.metrics[name] = value

    def set_terminated(self, run: int, status: str) -> None:
        self.runs[run].info.status = status

    def search_runs(self, experiments: list[str]) -> list[SimpleNamespace]:
        return [run for run in self.runs if run.info.experiment_id in experiments]


def stand_in(monkeypatch: pytest.MonkeyPatch, library: str, module: str, **names: object) -> None:
    """Put names in the place of a module whose library is not installed."""
    if importlib.util.find_spec(library) is None:
        made = ModuleType(module)
        vars(made).update(names)
        monkeypatch.setitem(sys.modules, module, made)


@pytest.mark.filterwarnings("default")  # The libraries' own, where they are installed.
def test_trials_are_seen_in_tensorboard(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "tensorboard", "torch.utils.tensorboard", SummaryWriter=Writer)
    study = pdsearch.run(space, serial=True, observers=[load_observer("to_tensorboard:TensorBoard", space)])
    written = {file.parent.name: file.stat().st_size for file in tmp_path.glob("tensorboard/small/*/events*")}
    assert {trial.id for trial in study.trials} < written.keys()
    assert all(written.values())


@pytest.mark.filterwarnings("default")  # The libraries' own, where they are installed.
def test_trials_are_runs_of_mlflow(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "mlflow", "mlflow", MlflowClient=Client)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    observer: Any = load_observer("to_mlflow:MLflow", space)
    study = pdsearch.run(space, serial=True, observers=[observer])
    runs = {run.info.run_name: run for run in observer.client.search_runs([observer.experiment])}
    for trial in study.trials:
        run = runs[trial.id]
        assert run.data.metrics["student.val_accuracy"] == trial.values["student.val_accuracy"]
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert len(runs) == len(study.trials) + 1, "the teacher's training is one as well"
