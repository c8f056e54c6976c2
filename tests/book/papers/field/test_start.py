"""Which loss to start with: told from ArcFace or not, place by place."""

import pytest
from tests.book.papers.made import results

from marginface.book.papers.field.bench import BENCH
from marginface.book.papers.field.methods import METHODS
from marginface.book.papers.field.spoiled import SPOILED, SPOILED_SETS
from marginface.book.papers.field.start import SOUND, places, sentences, table

pytestmark = pytest.mark.usefixtures("chosen")


def errors(row: str) -> float:
    """Sub-center ArcFace is good with wrong names, AdaFace everywhere, Softmax nowhere; CosFace is good here and bad there."""
    if row.startswith("Softmax"):
        return 0.2
    if row.startswith("CosFace"):
        return 0.2 if "wrong" in row else 0.07
    return 0.07 if row.startswith("AdaFace") or ("wrong" in row and row.startswith("Sub-center")) else 0.1


def test_who_errs_less_than_arcface_and_who_more() -> None:
    found = places(results(BENCH, errors), results(SPOILED_SETS, errors))
    made = table(found).set_index("trained on")
    assert list(made.index) == [SOUND, *SPOILED.values()]
    for title, line in made.iterrows():
        wrong = "wrong" in str(title)
        assert line["ArcFace over Softmax"].startswith(("-49", "-50")), title
        assert ("Sub-center ArcFace -" in line["err less than ArcFace"]) == wrong, title
        assert ("CosFace -" in line["err less than ArcFace"]) != wrong, title
        assert "AdaFace -" in line["err less than ArcFace"], title
        assert line["err more than ArcFace"].startswith(("Softmax +", "CosFace +")), title
        assert line["not told from it"] == len(METHODS) - 4 - wrong, title
    assert sentences(found) == (
        "On some of 4 training sets, and on no other the reverse, err less than ArcFace: AdaFace (4), Sub-center ArcFace (2). "
        "On some of 4 training sets, and on no other the reverse, err more than ArcFace: Softmax (4)."
    )


def test_all_losses_of_a_place_are_one_family_in_the_order_of_their_errors() -> None:
    place = places(results(BENCH, errors), results(SPOILED_SETS, errors))["10 % wrong"]
    found = place.judged()
    assert found.keys() == METHODS.keys() - {"ArcFace"}
    assert [each.share for each in found.values()] == sorted(each.share for each in found.values())
    assert {each.level for each in found.values()} == {0.05 / (len(METHODS) - 1)}


def test_what_is_not_recorded_on_a_set_is_left_out() -> None:
    spoiled = results(SPOILED_SETS, errors)
    for row in [row for row in spoiled.runs if row.startswith("AdaFace")]:
        del spoiled.runs[row]
    assert "AdaFace" not in places(results(BENCH, errors), spoiled)["long tail"].rows
