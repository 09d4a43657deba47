import pytest

from pdsearch.cli.main import main


def shown(verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([verb, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", ["run", "check", "plan"])
def test_a_space_and_its_overrides_are_explained_alike(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(verb, capsys, monkeypatch)
    assert "A space file." in text
    assert "KEY=VALUE" in text
    assert "Replace a value, by its dotted key; may be given several times." in text


@pytest.mark.parametrize("verb", ["rank", "report", "export", "verify", "retry"])
def test_a_study_s_folder_is_explained_alike(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "The folder of a study, a copy of one, or its URL." in shown(verb, capsys, monkeypatch)
