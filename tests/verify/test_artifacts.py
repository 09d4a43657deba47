from pathlib import Path

from pdsearch.verify import check_invariants


def payload(study: Path) -> Path:
    return next((study.parent / "artifacts" / "teacher").rglob("weights.bin"))


def test_a_changed_byte_is_seen_by_a_deep_look_only(study: Path) -> None:
    path = payload(study)
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    assert check_invariants(study) == []
    assert [item.rule for item in check_invariants(study, deep=True)] == ["artifacts"]


def test_a_file_of_another_size_is_always_seen(study: Path) -> None:
    path = payload(study)
    path.chmod(0o644)
    path.write_bytes(b"short")
    assert [item.rule for item in check_invariants(study)] == ["artifacts"]
