"""A report holds every number of the ranking, runs no code of a record's, and needs no network."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from pdsearch.analysis.figures import LIGHT
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report import as_html, build_report, compare, report_as_markdown
from pdsearch.analysis.report.headline import headline
from pdsearch.analysis.report.html import DARK
from pdsearch.analysis.study_table import StudyTable
from pdsearch.analysis.tables import show_estimate
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
        if tag not in ("meta", "br", "wbr", "input"):
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
    return as_html(build_report(found))


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
    assert Tags(as_html(build_report(study(records)))).open == []


def test_names_of_records_run_no_code() -> None:
    evil = "</script><script>alert(1)</script>"
    records = [record("magnitude", 0.5 + i / 10, kind="search", number=i) for i in range(2)]
    for place, item in enumerate(records):
        item["teacher"]["model"] = item["student"]["model"] = item["host"] = evil
        item["params"] = {evil: place, "prune.method": f"{evil}{place}"}
    space = {"space": {evil: {"low": 0, "high": 1}, "prune.method": {"choices": [evil]}}}
    evil_page = as_html(build_report(study(records, versions={evil: evil}, space=space)))
    plain = as_html(build_report(study(RECORDS[9:11])))
    assert len(re.findall(r"<script", evil_page)) == len(re.findall(r"<script", plain))
    assert "alert(1)</script>" not in evil_page
    text = report_as_markdown(build_report(study(records, space=space)), {})
    assert all(evil not in part for part in text.split("```")[::2])


def test_every_trial_is_a_line_and_every_failure_has_its_reason(page: str) -> None:
    text = "".join(Tags(page).text)
    table = page[page.index('id="all-trials"') :]
    assert len(re.findall(r"<tr><td>(?:search|confirm)-", table)) == len(RECORDS)
    assert "no reason recorded" in text
    assert "search-00005" in text


def test_the_page_is_small_and_holds_its_figures(page: str) -> None:
    assert len(page.encode()) < 0.8e6
    names = re.findall(r'class="plot" data-figure="([a-z0-9-]+)"', page)
    assert {"accuracy", "gains", "history", "cost", "front"} <= set(names)
    data = json.loads(page.split('id="figures">')[1].split("</script>")[0])
    assert set(data) == set(names)


def test_both_themes_know_every_colour() -> None:
    assert set(LIGHT) == set(DARK)


GAIN = [*confirmed("magnitude", [0.73, 0.74, 0.75], test=0), *confirmed(None, [0.70, 0.71, 0.721], test=0)]


@pytest.mark.parametrize(
    ("records", "text", "good"),
    [
        (GAIN, "vgg19_bn magnitude 59% teaches better than its unpruned self", True),
        (
            [
                *confirmed("magnitude", [0.60, 0.62, 0.61], test=0),
                *confirmed(None, [0.70, 0.71, 0.72], test=0),
            ],
            "No pruned teacher teaches better than the unpruned one",
            False,
        ),
        (
            [*GAIN, *confirmed("alone", [0.80, 0.811, 0.82], test=0)],
            "The student learns best without a teacher",
            False,
        ),
        (
            [
                *confirmed("magnitude", [0.9, 0.9, 0.9], test=-0.5),
                *confirmed("taylor", [0.73, 0.74, 0.75], test=0),
                *confirmed("alone", [0.60, 0.611, 0.62], test=0),
            ],
            "vgg19_bn magnitude 59% leads, and is not shown to help the student",
            False,
        ),
        (
            [*confirmed("magnitude", [0.7, 0.72, 0.71]), *confirmed(None, [0.7, 0.7, 0.72])],
            "vgg19_bn magnitude 59% leads, with no sure gain",
            False,
        ),
        ([*confirmed("alone", [0.7, 0.72])], "No pruned teacher of the study is confirmed", False),
        ([record("magnitude", 0.5, kind="search", number=1)], "Nothing is confirmed yet", False),
    ],
)
def test_the_verdict_is_said_in_words(records: list[dict[str, object]], text: str, good: bool) -> None:
    found = headline(rank_teachers(study(records)))
    assert (found.text, found.good) == (text, good)


def test_markdown_holds_what_the_page_holds(found: StudyTable) -> None:
    text = report_as_markdown(build_report(found), {"gains": "figures/gains.svg"})
    assert text.startswith("# made-up: vgg19_bn magnitude 59%")
    assert "![Gain over each baseline](figures/gains.svg)" in text
    assert "| search-00003 | search | complete | 63.00 |" in text


def test_studies_stand_side_by_side(found: StudyTable) -> None:
    other = dataclasses.replace(study(GAIN, data={"fingerprint": "e" * 64}), name="other")
    text = "".join(Tags(as_html(compare([found, other]))).text)
    assert "made-up" in text
    assert "other" in text
    assert "not tested on the same images" in text
    assert "can be compared" in "".join(Tags(as_html(compare([found, found]))).text)
