"""The scorecard: every table and figure once, with the verdict of its page."""

import pytest

from marginface.book import published
from marginface.book.papers import find
from marginface.book.scorecard import scorecard, tally, verdicts
from marginface.book.verdicts import Verdict


@pytest.mark.slow
def test_the_scorecard_lists_every_table_and_figure_once() -> None:
    numbered = published.items()
    assert numbered.groupby("paper").size().to_dict().items() >= {"ArcFace": 19, "IAM": 8, "InterFace": 10, "PAM": 5}.items()
    assert not numbered.duplicated(["paper", "item"]).any()
    found = verdicts()
    html = scorecard(found)
    assert html.count("<tr class=") == len(numbered) == len(found)
    assert html.count("<a href=") == sum(find(*key) is not None and verdict.word != "not yet" for key, verdict in found.items())
    assert sum(int(part.split()[0]) for part in tally(found).split(": ")[1].split(", ") if part[0].isdigit()) == len(numbered)


def test_the_scorecard_leaves_long_evidence_to_the_page() -> None:
    numbered = published.items()
    keys = zip(numbered["paper"], numbered["item"], strict=True)
    html = scorecard(dict.fromkeys(keys, Verdict("undecided", ("one", "two", "three", "4th", "5th"))))
    assert "one<br>two<br>three<br>and 2 more on its page" in html
    assert "4th" not in html
