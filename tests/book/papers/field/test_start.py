"""Which loss to start with: told from ArcFace or not, place by place."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.book.papers.made import results

from marginface.book.items import Results
from marginface.book.papers.choosing import ON_GLYPHS, ON_MANY
from marginface.book.papers.field import methods
from marginface.book.papers.field.bench import BENCH
from marginface.book.papers.field.methods import MATCHED, METHODS, SPOILED
from marginface.book.papers.field.spoiled import SPOILED_SETS
from marginface.book.papers.field.start import (
    FACES,
    GLYPHS,
    TEN_THOUSAND,
    TUNED,
    Compared,
    compare,
    places,
    sentences,
    table,
)
from marginface.book.papers.interface.losses import SMALL
from marginface.data.catalog import other_half

SETS = 3 + len(SPOILED)  # faces, glyphs, ten times as many of them, and glyphs that are spoiled


def errors(row: str) -> float:
    """Sub-center ArcFace is good with wrong names, AdaFace everywhere, Softmax nowhere; CosFace is good here and bad there.
    What was chosen there is as good as AdaFace."""
    if row.startswith("Softmax"):
        return 0.2
    if row.startswith("CosFace"):
        return 0.2 if "wrong" in row else 0.07
    good = row.startswith("AdaFace") or ("wrong" in row and row.startswith("Sub-center")) or row.endswith("chosen there")
    return 0.07 if good else 0.1


def bench() -> Results:
    """On faces, where MagFace is good on one half of the people and bad on the other, and on few and many glyphs."""
    glyphs = {GLYPHS: results(BENCH, errors, **ON_GLYPHS), TEN_THOUSAND: results(BENCH, errors, **ON_MANY)}
    first, second = results(BENCH, with_magface(0.8)), results(BENCH, with_magface(1.25), data=other_half(SMALL.data))
    return replace(first, beds={"other half": second, **glyphs})


def with_magface(share: float) -> Callable[[str], float]:
    return lambda row: errors(row) * share if row == "MagFace" else errors(row)


@pytest.fixture
def found(chosen: None, monkeypatch: pytest.MonkeyPatch) -> Compared:
    """On one set ArcFace has another setting, which was chosen there."""
    for bed in (*methods.SPOILED_BEDS, methods.MANY_BED):
        monkeypatch.setitem(MATCHED, bed, {})
    monkeypatch.setitem(MATCHED, "glyphs/wrong30", {"ArcFace": (methods.SCALES["glyphs"][0], methods.MARGINS[0])})
    return compare(places(bench(), results(SPOILED_SETS, errors)))


def test_who_errs_less_than_arcface_and_who_more(found: Compared) -> None:
    made = table(found).set_index("trained on")
    assert list(made.index) == [FACES, GLYPHS, TEN_THOUSAND, *(f"{GLYPHS}, {how}" for how in SPOILED.values())]
    for title, line in made.iterrows():
        wrong, tuned = "wrong" in str(title), title == "glyphs, 30 % wrong"
        assert line["ArcFace over Softmax"].startswith(("-49", "-50")), title
        assert ("Sub-center ArcFace -" in line["err less than ArcFace"]) == wrong, title
        assert ("CosFace -" in line["err less than ArcFace"]) != wrong, title
        assert "AdaFace -" in line["err less than ArcFace"], title
        assert line[f"err less than {TUNED}"] == ("–" if tuned else "as before"), title
        assert line["err more than ArcFace"].startswith(("Softmax +", "CosFace +")), title
        assert line["not told from it"] == len(METHODS) - 4 - wrong, title
    assert sentences(found) == (
        f"Fewer errors than ArcFace, at both settings where it has two, on at least one of the {SETS} training sets, and more "
        f"on none (in brackets: on how many): AdaFace ({SETS - 1}), Sub-center ArcFace (1). "
        f"More errors than ArcFace, at both settings where it has two, on at least one of the {SETS} training sets, and fewer "
        f"on none (in brackets: on how many): Softmax ({SETS})."
    )


def test_faces_are_both_halves(found: Compared) -> None:
    assert found.over[FACES]["MagFace"].word == "undecided"
    assert abs(found.over[FACES]["MagFace"].share) < 0.02


@pytest.mark.usefixtures("chosen")
def test_few_and_many_glyphs_are_two_sets() -> None:
    made = bench()
    many = results(BENCH, with_magface(0.7), **ON_MANY)
    over = compare(places(replace(made, beds={**made.beds, TEN_THOUSAND: many}), results(SPOILED_SETS, errors))).over
    assert abs(over[GLYPHS]["MagFace"].share) < 0.02
    assert over[TEN_THOUSAND]["MagFace"].share == pytest.approx(-0.3, abs=0.02)


def test_all_that_is_compared_is_one_family(found: Compared) -> None:
    others = len(METHODS) - 1
    every = [each for over in (found.over, found.over_tuned) for own in over.values() for each in own.values()]
    assert len(every) == SETS * others + 1 + others
    assert {each.level for each in every} == {0.05 / len(every)}
    assert found.over["glyphs, 10 % wrong"].keys() == METHODS.keys() - {"ArcFace"}
    assert TUNED in found.over["glyphs, 30 % wrong"]
    for own in found.over.values():
        assert [each.share for each in own.values()] == sorted(each.share for each in own.values())


@pytest.mark.usefixtures("chosen")
def test_what_is_not_recorded_on_a_set_is_left_out() -> None:
    spoiled = results(SPOILED_SETS, errors)
    for row in [row for row in spoiled.runs if row.startswith("AdaFace")]:
        del spoiled.runs[row]
    made = bench()
    found = places(replace(made, beds={bed: there for bed, there in made.beds.items() if bed != TEN_THOUSAND}), spoiled)
    assert "AdaFace" not in found["glyphs, long tail"].rows
    assert found.keys() >= {FACES, GLYPHS}
    assert TEN_THOUSAND not in found
