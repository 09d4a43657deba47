from pathlib import Path

import pytest
import torch

from pdsearch.errors import StorageError
from pdsearch.failing import is_out_of_gpu_memory, reason, write_log


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
