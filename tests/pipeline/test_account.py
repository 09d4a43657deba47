"""What a job met and trained counts once, whatever number of attempts it takes; other jobs reuse it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.pipeline.context import FILE, Account
from pdsearch.protocol import Use

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
