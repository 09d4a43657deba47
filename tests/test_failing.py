import errno
import os
from pathlib import Path

import pytest
import torch

from pdsearch.errors import StorageError
from pdsearch.pipeline.failure import (
    HUNG,
    is_infrastructure,
    is_out_of_gpu_memory,
    is_same_error,
    lost_workers,
    reason,
    write_log,
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such layer"), "ValueError: no such layer"),
        (SystemExit(3), "it called sys.exit(3)"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of GPU memory"),
    ],
)
def test_a_reason_says_what_happened_and_where_the_rest_stands(
    error: BaseException, words: str, tmp_path: Path
) -> None:
    assert reason(error, None).startswith(words)
    log = tmp_path / "trials" / "search-00001.log"
    with pytest.raises(type(error)) as raised:
        raise error
    assert reason(raised.value, log).endswith("(traceback in trials/search-00001.log)")
    assert "test_failing.py" in log.read_text()


@pytest.mark.parametrize(
    "why",
    [
        lost_workers(4, "The node died"),
        "its worker was lost again and again",
        f"{HUNG} (stacks in trials/search-00001.log)",
        reason(MemoryError(), None),
        reason(torch.OutOfMemoryError("CUDA out of memory"), None),
        reason(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), None),
        reason(OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/mnt/data"), None),
        reason(ConnectionResetError(errno.ECONNRESET, "reset"), None),
        "RuntimeError: [enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you",
        "AcceleratorError: CUDA error: out of memory",
    ],
)
def test_what_machines_do_is_told_from_what_a_trial_does(why: str) -> None:
    assert is_infrastructure(why)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x"),
        RuntimeError("CUDA error: device-side assert triggered"),
        SystemExit(3),
    ],
)
def test_what_a_trial_does_is_its_own(error: BaseException) -> None:
    assert not is_infrastructure(reason(error, None))


def test_numbers_and_the_name_of_a_log_make_no_other_error() -> None:
    one, other = (f"ValueError: {n} of 10 (traceback in trials/search-0000{n}.log)" for n in (1, 2))
    assert is_same_error(one, other)
    assert not is_same_error(one, one.replace("Value", "Type"))


def test_a_reason_and_its_log_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "open-sesame")
    log = tmp_path / "search-00001.log"
    error = ValueError("refused: http://me:hush@host wants open-sesame")
    assert "ValueError: refused: http://me:***@host wants ***" in reason(error, log)
    assert "hush" not in log.read_text()
    assert "open-sesame" not in log.read_text()


def test_only_a_gpu_that_is_full_is_a_full_gpu() -> None:
    assert is_out_of_gpu_memory(torch.OutOfMemoryError())
    assert not is_out_of_gpu_memory(MemoryError())


def test_a_log_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_log(tmp_path / "file" / "log", "text")
