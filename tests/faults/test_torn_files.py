"""Whichever file of a study is torn, every command ends with its documented exit code and one message."""

import inspect
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pdsearch.artifacts import hold
from pdsearch.cli import main as program
from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.verbs.cache import Action
from tests.end_to_end.program import call, write

STUDY = "runs/tiny"
RUN = ("run", "tiny.yaml", "--serial", "--progress", "lines")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "retry": ("--failed",),
    "export": ("--out", "again"),
    "verify": ("--deep",),
}
TAKES_A_STUDY = {
    verb
    for verb, (target, _) in program.VERBS.items()
    if any(p.annotation == StudyFolder for p in inspect.signature(program._load(target)).parameters.values())
}
VERBS: Mapping[str, tuple[str, ...]] = {
    "run": RUN,
    **{verb: (verb, STUDY, *NEEDED.get(verb, ())) for verb in sorted(TAKES_A_STUDY)},
    "show": ("show", STUDY),
    "extend": ("extend", "tiny.yaml"),
    **{f"cache {action}": ("cache", action, "runs") for action in Action},
}
UNTORN = {"check", "demo", "doctor", "init", "list", "plan", "reproduce", "schema"}
"""Verbs that read no study."""
NO_RECORDS = {"cache verify", "extend"}
"""Verbs that read no record; of a space that is the study's already, `extend` has nothing to look up."""

UNKNOWN = dict.fromkeys(("run", "show", "extend", *TAKES_A_STUDY), 74)
SEEN = {"verify": 1}
LOST = {"verify": 1, "cache verify": 1, "export": 74}
FILES: Mapping[str, tuple[str, dict[str, int]]] = {
    "description": (f"{STUDY}/study.json", UNKNOWN),
    "asked": (f"{STUDY}/trials/search-00000.asked.json", {**SEEN, "cache gc": 74}),
    "finished": (f"{STUDY}/trials/search-00000.finished.json", {**SEEN, "cache gc": 74}),
    "retry": (f"{STUDY}/trials/search-00000.retry.json", SEEN),
    "journal": (f"{STUDY}/journal.log", SEEN),
    "ledger's note": (f"{STUDY}/ledger.json", SEEN),
    "clock": (f"{STUDY}/elapsed.json", {}),
    "lease": (f"{STUDY}/driver.lease", {}),
    "table": (f"{STUDY}/results.parquet", {}),
    "manifest": ("runs/artifacts/student/*/{best}/manifest.json", LOST),
    "weights": ("runs/artifacts/student/*/{best}/tensors.safetensors", LOST),
}
"""What can be torn, and the verbs that do not end with 0 then."""

TEARS: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
}

AS_FINISHED = {"description", "asked", "retry", "clock"}
"""Files that are read by the function that reads a finished record, and are torn in one way."""

WRONG: Mapping[str, tuple[str, tuple[str, ...], Any]] = {
    "a text for a number": ("finished", ("values", "student.val_accuracy"), "abc"),
    "a share above one": ("finished", ("values", "student.val_accuracy"), 7),
    "nothing": ("finished", ("values",), {}),
    "a parameter of no space": ("finished", ("params", "distill.temperature"), "abc"),
    "a key that is none": ("finished", ("key",), "../../.."),
    "half a number of epochs": ("asked", ("spec", "distill", "recipe", "epochs"), 2.5),
    "a newer format": ("finished", ("format",), 99),
    "no format": ("asked", ("format",), None),
}
"""Whole JSON that is no record: its field, and a value that cannot stand there."""


@pytest.fixture(autouse=True)
def _quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that names nobody is taken over after some beats, not after half a minute of them."""
    for user in ("study", "maintenance"):
        monkeypatch.setattr(f"pdsearch.search.{user}.hold", partial(hold, window_s=0.2, poll_s=0.05))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study, and what was exported of it."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder, ("trials: 4", "trials: 2"))
    call(folder, *RUN)
    call(folder, "export", STUDY, "--out", "exported")
    return folder


def best(folder: Path) -> dict[str, Any]:
    """The trial that is exported, as its row in result.json."""
    (result,) = folder.glob("exported/*/result.json")
    found: dict[str, Any] = json.loads(result.read_text())["best"]
    return found


def torn(whole: Path, folder: Path, file: str, tear: str) -> Path:
    """A copy of the folder in which one file is torn; files that this study does not have are torn from the start."""
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    pattern = FILES[file][0].format(best=best(whole)["student_artifact"])
    path = next(iter(folder.glob(pattern)), folder / pattern)
    content = path.read_bytes() if path.exists() else b'{"format": 1, "id": "search-00000"}'
    path.unlink(missing_ok=True)
    path.write_bytes(TEARS[tear](content))
    return path


def ended(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """Return how a call ends, and what it said on stdout and stderr; whatever would be a traceback is raised."""
    monkeypatch.chdir(folder)
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        code = program.main(words)
    return code, out.getvalue(), error.getvalue()


def test_all_verbs_are_here() -> None:
    assert {words[0] for words in VERBS.values()} | UNTORN == {*program.VERBS}


@pytest.mark.parametrize(
    ("file", "tear"),
    [(file, tear) for file in FILES for tear in TEARS if tear == "half" or file not in AS_FINISHED],
)
def test_every_verb_ends_with_its_code_and_names_the_file(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, tear: str
) -> None:
    expected = {verb: FILES[file][1].get(verb, 0) for verb in VERBS}
    found: dict[str, int] = {}
    for number, (verb, words) in enumerate(VERBS.items()):
        path = torn(whole, tmp_path / str(number), file, tear)
        found[verb], out, said = ended(tmp_path / str(number), monkeypatch, *words)
        if found[verb] == 74:
            assert said.count("pdsearch: ") == said.count("\n  -> ") == 1, said
        if found[verb]:
            names = (path.name, path.parent.name[:12], "ledger: ", "search-00000")
            assert any(name in out + said for name in names), out + said
    assert found == expected


@pytest.mark.parametrize("wrong", WRONG)
def test_a_value_that_cannot_be_is_one_message_for_all_verbs_and_only_run_changes_the_file(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    word, (*outer, name), value = WRONG[wrong]
    messages = set()
    for number, (verb, words) in enumerate(VERBS.items()):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        path = folder / STUDY / "trials" / f"search-00000.{word}.json"
        record = place = json.loads(path.read_text())
        for step in outer:
            place = place[step]
        place[name] = value
        path.unlink()
        path.write_text(json.dumps(record))
        code, out, said = ended(folder, monkeypatch, *words)
        newer = wrong == "a newer format"
        codes = {"verify": 1, "cache gc": 74, **({"run": 74} if newer else {})}
        assert (verb, code) == (verb, codes.get(verb, 0)), said
        assert (path.exists() and json.loads(path.read_text()) == record) is (verb != "run" or newer), verb
        if not (word == "asked" and verb in ("rank", "report", "export")) and verb not in NO_RECORDS:
            (said_of,) = set(re.findall(rf"{path.name}: (.*)", out + said))
            messages.add(re.split(r"; it |; what it|: which|\.$", said_of)[0])
    assert len(messages) == 1, messages


@pytest.mark.parametrize("file", [name for name, (_, codes) in FILES.items() if codes == SEEN])
def test_what_verify_says_the_next_run_mends_is_mended(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    torn(whole, tmp_path, file, "half")
    _, _, said = ended(tmp_path, monkeypatch, "verify", STUDY)
    assert "mended by the next `pdsearch run`" in said
    assert ended(tmp_path, monkeypatch, *RUN)[0] == 0
    assert ended(tmp_path, monkeypatch, "verify", STUDY, "--deep")[:2] == (0, "all is as it must be\n")


def test_a_torn_description_is_written_anew_as_the_message_says(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = torn(whole, tmp_path, "description", "half")
    _, _, said = ended(tmp_path, monkeypatch, "rank", STUDY)
    assert "remove the file and run the study again" in said
    path.unlink()
    code, out, _ = ended(tmp_path, monkeypatch, *RUN)
    assert (code, "everything was finished before: nothing was trained" in out) == (0, True)
    assert ended(tmp_path, monkeypatch, "verify", STUDY)[0] == 0
    before = ended(whole, monkeypatch, "rank", STUDY)
    assert ended(tmp_path, monkeypatch, "rank", STUDY) == before


@pytest.mark.parametrize("file", ["manifest", "weights"])
def test_a_torn_student_is_made_anew_as_the_message_says(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    torn(whole, tmp_path, file, "half")
    _, _, said = ended(tmp_path, monkeypatch, *VERBS["export"])
    record = f"trials/{best(whole)['id']}.finished.json"
    assert f"move {record} away and run the study again" in said
    (tmp_path / STUDY / record).rename(tmp_path / "away.json")
    assert ended(tmp_path, monkeypatch, *RUN)[0] == 0
    assert ended(tmp_path, monkeypatch, *VERBS["export"])[0] == 0
    assert best(tmp_path)["student_artifact"] == best(whole)["student_artifact"]


def test_a_torn_export_is_told_by_whoever_reads_it(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole / "exported", tmp_path, dirs_exist_ok=True)
    (config,) = tmp_path.glob("*/config.yaml")
    config.write_text(config.read_text()[:300])
    code, _, said = ended(tmp_path, monkeypatch, "run", str(config))
    assert (code, str(config) in said) == (2, True), said
