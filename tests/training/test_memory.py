"""What a step frees is there for the next step; the system need not be asked again, page by page."""

import ctypes
import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from pdsearch.training import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        maps = [torch.ones(10 * 2**20) for _ in range(3)]  # 40 MiB each: more than glibc keeps by itself
        del maps
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    told = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, after = map(int, told.stdout.split())
    assert before > 10_000
    assert after < 100
