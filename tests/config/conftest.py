import pytest

from pdsearch.config import catalog


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog._REGISTRIES, "prune.method", "tests.config.parts:methods")
    monkeypatch.setitem(catalog._REGISTRIES, "distill.loss", "tests.config.parts:losses")
