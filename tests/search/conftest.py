import os

import optuna
import pytest


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests kill processes, not machines: what was written need not reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # noqa: ARG005 - the system's signature
    optuna.logging.set_verbosity(optuna.logging.ERROR)
