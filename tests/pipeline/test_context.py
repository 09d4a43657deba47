"""What a worker keeps between trials: cached data and networks, its accounts, the room for teachers' logits."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.artifacts import Store
from pdsearch.io import place, read
from pdsearch.io.objects import Objects
from pdsearch.pipeline import context
from pdsearch.pipeline.context import FILE, Account, LogitsLimit, MemoryCache
from pdsearch.protocol import Use
from tests.pipeline.digits import site
from tests.s3_server import S3Server


def keep(kept: MemoryCache, name: str, size: int) -> list[str]:
    """Ask for a thing of a size; return the names that had to be made for it."""
    made: list[str] = []

    def make() -> tuple[str, int]:
        made.append(name)
        return name.upper(), size

    assert kept.get((name,), make) == name.upper()
    return made


def test_what_was_not_used_for_longest_goes_first() -> None:
    kept = MemoryCache(limit_bytes=10)
    for name in ("a", "b", "a", "c"):
        keep(kept, name, 4)
    assert keep(kept, "a", 4) == []
    assert keep(kept, "b", 4) == ["b"]


def test_a_single_larger_thing_is_kept_until_the_next_one() -> None:
    kept = MemoryCache(limit_bytes=10)
    keep(kept, "large", 100)
    assert keep(kept, "large", 100) == []
    keep(kept, "small", 1)
    assert keep(kept, "large", 100) == ["large"]


def test_a_new_trial_counts_from_zero_and_keeps_what_was_loaded(tmp_path: Path) -> None:
    here = site(tmp_path)
    here.account.trained("teacher")
    here.account.trained("teacher")
    here.kept.get(("x",), lambda: (1, 1))
    assert here.account.epochs == {"teacher": 2}
    epochs = here.account.epochs
    here.begin()
    assert (here.account.epochs, here.account.uses, epochs) == ({}, [], {"teacher": 2})
    assert here.kept.get(("x",), lambda: (2, 1)) == 1


TEACHER, STUDENT = Use("teacher", "t" * 64, False, 1.0), Use("student", "s" * 64, False, 1.0)
DATA = Use("data", "d" * 64, True, 1.0)


def build(account: Account, use: Use, stage: str, epochs: int) -> None:
    with account.making(use.stage, use.key):
        for _ in range(epochs):
            account.trained(stage)
    account.used(use)


def met(account: Account, *uses: Use) -> list[Use]:
    for use in uses:
        account.used(replace(use, hit=True))
    return account.uses


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """That of a job which met the data, made its teacher and began its student."""
    found = Account()
    found.begin(STUDENT.key, tmp_path)
    found.used(DATA)
    build(found, TEACHER, "teacher", 3)
    found.trained("distill")
    assert found.epochs == {"teacher": 3, "distill": 1}
    return found


def test_another_attempt_of_the_same_worker(account: Account, tmp_path: Path) -> None:
    for again in (account.again, lambda: account.begin(STUDENT.key, tmp_path)):
        again()
        assert account.epochs == {"teacher": 3}
        assert met(account, TEACHER) == [DATA, TEACHER]
    assert met(account, TEACHER) == [DATA, TEACHER, replace(TEACHER, hit=True)]
    build(account, STUDENT, "distill", 2)
    account.again()
    assert account.epochs == {"teacher": 3, "distill": 2}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("content", [None, "[1", "[1]", '{"uses": [[1]]}'])
def test_another_worker_finds_the_account_and_needs_it_not(tmp_path: Path, content: str | None) -> None:
    other = Account()
    if content is not None:
        (tmp_path / FILE).write_text(content)
    other.begin(STUDENT.key, tmp_path)
    found = met(other, TEACHER)
    assert found == ([DATA, TEACHER] if content is None else [replace(TEACHER, hit=True)])
    assert other.epochs == ({"teacher": 3} if content is None else {})


def test_an_account_on_an_object_storage_that_refuses_once_is_written(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer of "slow down" in a week ended the search."""
    folder, answers, refusals = place(s3.url(f"{bucket}/progress")), Objects._built, ["SLOW_DOWN"]

    def now_and_then(objects: Objects) -> tuple[Any, str]:
        if refusals:
            raise OSError(refusals.pop())
        return answers(objects)

    account = Account()
    account.begin(STUDENT.key, folder)
    monkeypatch.setattr(Objects, "_built", now_and_then)
    build(account, TEACHER, "teacher", 3)
    assert not refusals
    assert json.loads(read(folder / FILE) or b"")["epochs"] == {"teacher": 3}


def test_what_is_made_on_the_way_counts_once(tmp_path: Path) -> None:
    account, pruned = Account(), Use("prune", "p" * 64, False, 1.0)
    account.begin(STUDENT.key, tmp_path)
    with account.making(pruned.stage, pruned.key):
        build(account, TEACHER, "teacher", 2)
        account.trained("prune")
    account.used(pruned)
    account.again()
    assert account.epochs == {"teacher": 2, "prune": 1}


def test_other_jobs_reuse_it(account: Account, tmp_path: Path) -> None:
    account.begin("another", tmp_path / "another")
    assert met(account, TEACHER) == [replace(TEACHER, hit=True)]
    build(account, STUDENT, "distill", 1)
    account.end()
    account.begin("another")
    assert met(account, STUDENT) == [replace(STUDENT, hit=True)]
    assert account.epochs == {}
    account.begin()
    account.begin()
    assert (account.uses, account.epochs) == ([], {})


def put(store: Store, key: str, size: int, stage: str = "outputs") -> None:
    store.publish(stage, key * 64, lambda folder: _write(folder / "payload", size), {})


def _write(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)


def test_what_lies_there_counts_and_what_other_stages_store_does_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "a", 60)
    put(store, "b", 500, stage="student")
    limit = store.used("outputs") + 40
    assert store.used("student") > store.used("outputs") >= 60
    assert not LogitsLimit(store, limit).take(41)
    assert LogitsLimit(store, limit).take(40)


def test_every_place_that_is_given_is_one_less(tmp_path: Path) -> None:
    ours = LogitsLimit(Store(tmp_path), 100)
    assert [ours.take(40), ours.take(40), ours.take(40), ours.take(20)] == [True, True, False, True]


def test_what_others_write_is_counted_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    ours = LogitsLimit(store, 100)
    assert ours.take(10)
    put(store, "c", 95)
    assert ours.take(10)
    monkeypatch.setattr(context, "RECOUNT_S", 0.0)
    assert not ours.take(10)
