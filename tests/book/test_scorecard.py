"""The scorecard: every table and figure once, with the verdict of its page."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from marginface.book import published, readme
from marginface.book.papers import find
from marginface.book.papers.iam.table5 import TABLE5
from marginface.book.scorecard import FINDINGS, KINDS, answer, bar, chips, findings, scorecard, tally, verdicts
from marginface.book.verdicts import WORDS, Verdict


@pytest.mark.slow
def test_the_scorecard_lists_every_table_and_figure_once() -> None:
    numbered = published.items()
    assert numbered.groupby("paper").size().to_dict().items() >= {"ArcFace": 19, "IAM": 8, "InterFace": 10, "PAM": 5}.items()
    assert not numbered.duplicated(["paper", "item"]).any()
    found = verdicts()
    html = scorecard(found)
    assert html.count("<tr class=") == len(numbered) == len(found)
    assert html.count("<a href=") == sum(find(*key) is not None and verdict.word != "not yet" for key, verdict in found.items())
    first = chips(found)
    assert first.count('class="chip ') == len(numbered)
    assert first.count("<a href=") == html.count("<a href=")
    assert sum(int(count) for count in re.findall(r"<b>(\d+)</b>", bar(found))) == len(numbered)
    assert len(findings()) == len(FINDINGS) == 9  # each claim that a finding is about is there, and decided by records
    assert sum(int(part.split()[0]) for part in tally(found).split(": ")[1].split(", ") if part[0].isdigit()) == len(numbered)


def test_the_scorecard_leaves_long_evidence_to_the_page() -> None:
    numbered = published.items()
    keys = zip(numbered["paper"], numbered["item"], strict=True)
    html = scorecard(dict.fromkeys(keys, Verdict("undecided", ("one", "two", "three", "4th", "5th"))))
    assert "one<br>two<br>three<br>and 2 more on its page" in html
    assert "4th" not in html


def test_every_word_has_its_kind_on_the_first_page() -> None:
    assert sorted(word for words in KINDS.values() for word in words) == sorted(WORDS)


def test_an_answer_without_records_says_so() -> None:
    assert "Nothing is recorded yet" in answer(replace(TABLE5, seeds=[2**31]))._repr_html_()


def test_an_answer_is_what_the_page_says() -> None:
    recorded = TABLE5.recorded()
    assert recorded is not None
    pooled = [each for each in recorded.judged() if "in the mean" in each.claim.text]
    frame = answer(TABLE5, "in the mean").frame
    assert frame["changes the errors by"].tolist() == [each.difference for each in pooled]
    assert frame["on"].tolist() == [each.bed for each in pooled] == ["faces", "glyphs"]
    whole, judged = answer(TABLE5), recorded.judged()
    assert len(whole.frame) == len(judged)
    assert answer(TABLE5, "in the mean").comes_to == ""
    told = re.fullmatch(
        r"On faces the errors change by (\S+) to (\S+) % \(.*\), on glyphs by (\S+) to (\S+) % \(.*\)\.", whole.comes_to
    )
    assert told
    shares = [[100 * each.share for each in judged if each.bed == bed] for bed in ("faces", "glyphs")]
    assert [float(end) for end in told.groups()] == pytest.approx([f(own) for own in shares for f in (min, max)], abs=0.06)
    assert sum(map(int, re.findall(r"[(,] ?(\d+) ", whole.comes_to))) == len(judged)
    assert f"<strong>{whole.comes_to[:20]}" in whole._repr_html_()


def test_every_claim_is_in_the_papers_own_words(shared: Path) -> None:
    """A quotation may leave something out where it says so."""
    numbered = published.items()
    for line in numbered[numbered.claim != ""].to_dict("records"):
        text = " ".join((shared.parent / "papers" / f"{line['paper'].lower()}.txt").read_text().split())
        for part in line["claim"].split(" … "):
            assert part in text, line
    assert (numbered.claim != "").sum() == 42


def test_the_readme_says_what_was_found() -> None:
    text = readme.README.read_text()
    assert readme.LINES.search(text)
    assert readme.summary() in text, "run make readme"
    assert readme.PICTURE.relative_to(readme.ROOT).as_posix() in text
    assert readme.PICTURE.is_file()
