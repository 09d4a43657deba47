import json

import pytest

import pdsearch.config
from pdsearch.cli.main import main


def test_the_schema_is_printed_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdsearch.config, "json_schema", lambda: {"type": "object"}, raising=False)
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "object"}
