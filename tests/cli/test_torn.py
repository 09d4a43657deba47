"""Does every verb say the same of a study whose description is torn: what, where, what to do, and exit code 74?"""

from pathlib import Path

import pytest

from pdsearch.cli.main import main

SPACE = """
study: small
data: {{source: digits, val_fraction: 0.2}}
teacher: {{model: convnet_l}}
student: {{model: convnet_s}}
train:
  teacher: {{epochs: 1, lr: 0.1}}
  distill: {{epochs: 1, lr: 0.1}}
search: {{trials: 1}}
storage: {storage}
"""

VERBS = ("rank", "report", "export", "verify", "run")


def called(verb: str, folder: Path, tmp_path: Path) -> int:
    if verb == "run":
        space = tmp_path / "space.yaml"
        space.write_text(SPACE.format(storage=folder.parent))
        return main(["run", str(space), "--serial"])
    out = {"report": ["--out", str(tmp_path / "page.html")], "export": ["--out", str(tmp_path / "best")]}
    return main([verb, str(folder), *out.get(verb, [])])


@pytest.mark.parametrize(
    "content", [b"", b'{"format": 1, "stu', b"[]", b"\xff\xfe"], ids=["empty", "cut", "list", "no text"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_torn_description_is_the_storages_fault(
    verb: str, content: bytes, study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study_folder / "study.json").write_bytes(content)
    assert called(verb, study_folder, tmp_path) == 74
    said = " ".join(capsys.readouterr().err.split())
    assert "small/study.json" in said
    assert "remove the file and run the study again" in said
    assert "Traceback" not in said
