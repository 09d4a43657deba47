"""The driver asks sources for fingerprints without loading torch."""

import subprocess
import sys

import pytest

import pdsearch.data

PROGRAM = """
import sys
from pdsearch.data import RawData
from pdsearch.data.registry import sources
from pdsearch.specs import DataSpec
sources.get("digits").fingerprint(DataSpec(source="digits"))
sources.get("parquet")
print("torch" in sys.modules)
"""


def test_fingerprints_load_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_every_public_name_is_there() -> None:
    for name in pdsearch.data.__all__:
        assert getattr(pdsearch.data, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pdsearch.data.nothing  # noqa: B018 - the access is the test
