"""What stands at the top of a page, in short."""

from dataclasses import replace
from html import unescape

from tests.book.papers.made import results

from marginface.book.boxes import untested
from marginface.book.items import Item
from marginface.book.obtain import Row
from marginface.margins import ArcFace
from marginface.training.recipes import Recipe

OURS = Recipe(ArcFace(8, 0.3), data="digits", epochs=2)
ITEM = Item("Ours", "The study", "study", rows=lambda chosen: {"ArcFace": Row(OURS)})


def test_what_the_paper_has_larger_is_not_tested() -> None:
    large = replace(OURS, data="faces_emore", steps=1000)
    item = replace(ITEM, rows=lambda chosen: {"ArcFace": Row(large if chosen.profile == "paper" else OURS)})
    assert unescape(untested(item, results(item, lambda row: 0.1))).startswith("the paper's own scale: faces_emore, ")


def test_what_is_trained_as_in_the_paper_is_no_other_scale() -> None:
    assert untested(ITEM, results(ITEM, lambda row: 0.1)) == ""
