"""A report holds every number of the ranking, runs no code of a record's, and needs no network."""

import re
from html.parser import HTMLParser

import pytest

from pdsearch.analysis import StudyTable, rank_teachers, show_estimate
from pdsearch.analysis.report import as_html
from tests.analysis.synthetic_studies import confirmed, record, study

RECORDS = [
    *confirmed("magnitude", [0.70, 0.72, 0.74], test=-0.01),
    *confirmed(None, [0.69, 0.70, 0.71], test=-0.01),
    *confirmed("alone", [0.65, 0.66, 0.67], test=-0.01),
    *[record("magnitude", 0.6 + 0.01 * i, kind="search", number=i, temperature=1.0 + i) for i in range(4)],
    record(None, 0.5, kind="search", number=4, state="stopped", epochs=5),
    record("magnitude", 0.0, kind="search", number=5, state="failed"),
]
OBJECTIVES = [
    {"metric": "student.val_accuracy", "goal": "maximize"},
    {"metric": "student.params", "goal": "minimize"},
]


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open:
            self.text.append(data)


@pytest.fixture(scope="module")
def found() -> StudyTable:
    return study(RECORDS, space={"objectives": OBJECTIVES}, versions={"torch": "2.15.0"})


@pytest.fixture(scope="module")
def page(found: StudyTable) -> str:
    return as_html(found)


def test_it_is_one_whole_page_without_addresses(page: str) -> None:
    tags = Tags(page)
    assert tags.open == []
    assert not [
        tag for tag, attributes in tags.tags if attributes.get("src") or tag in ("link", "iframe", "img")
    ]


def test_every_line_of_the_ranking_is_there(page: str, found: StudyTable) -> None:
    text = "".join(Tags(page).text)
    for row in rank_teachers(found).rows:
        assert row.label in text
        if row.confirmed:
            assert show_estimate(row.test) in text
    assert "too few" in text
    assert "2.15.0" in text


@pytest.mark.parametrize("records", [[], RECORDS[-1:], RECORDS[9:13], RECORDS[:9]])
def test_a_study_that_has_little_has_a_report(records: list[dict[str, object]]) -> None:
    assert Tags(as_html(study(records))).open == []


def test_names_of_records_run_no_code() -> None:
    evil = "</script><script>alert(1)</script>"
    records = [record("magnitude", 0.5 + i / 10, kind="search", number=i) for i in range(2)]
    for place, item in enumerate(records):
        item["teacher"]["model"] = item["student"]["model"] = item["host"] = evil
        item["params"] = {evil: place, "prune.method": f"{evil}{place}"}
    page = as_html(study(records, versions={evil: evil}))
    assert len(re.findall(r"<script", page)) == len(re.findall(r"<script", as_html(study(RECORDS[9:11])))) + 1
    assert "alert(1)</script>" not in page
