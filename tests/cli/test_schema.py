import json

import pytest

import pdsearch.space
from pdsearch.cli.main import main


def test_the_schema_is_printed_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdsearch.space, "json_schema", lambda: {"type": "object"}, raising=False)
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "object"}
