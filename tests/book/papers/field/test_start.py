"""Which loss to start with: told from ArcFace or not, place by place."""

from dataclasses import replace

import pytest
from tests.book.papers.made import results

from marginface.book.papers.field.bench import BENCH
from marginface.book.papers.field.methods import METHODS
from marginface.book.papers.field.spoiled import SPOILED, SPOILED_SETS
from marginface.book.papers.field.start import places, table

pytestmark = pytest.mark.usefixtures("chosen")


def errors(row: str) -> float:
    """Sub-center ArcFace is good with wrong names, AdaFace everywhere, Softmax nowhere."""
    if row.startswith("Softmax"):
        return 0.2
    return 0.07 if row.startswith("AdaFace") or ("wrong" in row and row.startswith("Sub-center")) else 0.1


def test_who_errs_less_than_arcface_and_who_more() -> None:
    bench, spoiled = results(BENCH, errors), results(SPOILED_SETS, errors)
    other = replace(results(BENCH, errors, draw=1), beds={})
    glyphs = replace(bench, beds={})
    made = table(places(replace(bench, beds={"other half": other, "glyphs": glyphs}), spoiled)).set_index("trained on")
    assert list(made.index) == ["faces", "glyphs", *(f"glyphs, {title}" for title in SPOILED.values())]
    for title, line in made.iterrows():
        assert line["ArcFace over Softmax"].startswith(("-49", "-50")), title
        assert line["err less than ArcFace"].startswith(("AdaFace -", "Sub-center ArcFace -")), title
        assert ("Sub-center" in line["err less than ArcFace"]) == ("wrong" in str(title)), title
        assert line["err more than ArcFace"].startswith("Softmax +"), title
        assert line["not told from it"] == len(METHODS) - 3 - ("wrong" in str(title)), title


def test_halves_are_one_place_and_what_is_not_recorded_is_none() -> None:
    bench = results(BENCH, errors)
    empty = replace(bench, runs={}, beds={})
    found = places(replace(bench, beds={"other half": replace(bench, beds={}), "glyphs": empty}))
    assert list(found) == ["faces"]
    assert {len(rows) for rows in found["faces"].rows.values()} == {2}
    assert found["faces"].over("AdaFace").row == ("AdaFace 0", "AdaFace 1")
