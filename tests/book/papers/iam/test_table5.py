"""IAM Tables 5 and 6: seven losses with IAM and without, each by itself and as a sample of losses."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.book.papers.made import results

from marginface.book import published, telling
from marginface.book.papers.iam.table5 import FIXED, OTHERS, PRINTED, TABLE5, TABLE6, claims, strengths


def gains(**of: float) -> Callable[[str], float]:
    """Errors of 10 % without IAM, changed with it by so many percent, for each loss by its first word; 0 for the others."""
    return lambda name: 0.1 * (1 + of.get(name.split()[0], of.get("every", 0)) / 100 * ("IAM" in name))


def test_every_printed_line_has_its_row() -> None:
    for item in (TABLE5, TABLE6):
        printed = published.table("iam", int(item.name[-1]))
        lines = {(row["base_loss"], row["beta"]) for row in printed.to_dict("records")}
        rows = {(row.printed["base_loss"], row.printed["beta"]) for row in item.ask().rows.values()}
        assert rows == lines | {("AM-loss [9][11]", 0.1)}
    assert TABLE5.grid() == TABLE6.grid(), "Table 6 is another view of the same runs"


def test_one_effect_over_all_losses_and_one_each() -> None:
    found = claims(5, results(TABLE5, gains()))
    assert [claim.bases for claim in found] == [6] + [0] * 7
    assert found[0].row == tuple(f"{name} + 0.05 × IAM" for name in OTHERS)
    shares = [claim.printed for claim in found[1:7]]
    assert found[0].printed == pytest.approx(np.expm1(np.mean(np.log1p(np.array(shares, dtype=float)))))


def test_what_helps_every_loss_alike_helps_losses() -> None:
    words = {each.claim.text: each.word for each in results(TABLE5, gains(every=-20)).judged()}
    assert words[f"IAM with β = {FIXED:g}, in the mean over losses"] == "holds"
    assert words["ArcFace + 0.05 × IAM over ArcFace"] == "holds"


def test_what_helps_some_and_harms_others_does_not() -> None:
    """Each difference is plain, and yet says nothing of losses."""
    mixed = results(TABLE5, gains(Center=-30, Ring=30, ArcFace=-30, CosFace=30, SphereFace=-20, **{"ℓ2": 20}))
    pooled, *each = mixed.judged()
    assert pooled.word == "undecided"
    assert {one.word for one in each[:6]} >= {"holds", "opposite"}
    assert pooled.needed is None, "more seeds would not tell; more losses might"
    assert telling.table([pooled])["seeds to decide"].tolist() == ["more losses"]


def test_the_gain_stands_beside_the_strength_of_the_loss() -> None:
    table = strengths(5, results(TABLE5, lambda name: 0.05 if name.startswith("ℓ2") else 0.1))
    assert table.loss.tolist()[0] == "ℓ2"
    assert len(table) == len(PRINTED) - 1


def test_whose_spread_counts() -> None:
    """Of one loss its rows, which go together; of two the two rows alone, since theirs do not."""
    made = results(TABLE6, lambda name: 0.1)
    among = {claim.text: claim.among for claim in claims(6, made)}
    assert among["ArcFace + 0.05 × IAM over ArcFace"] == ("ArcFace", "ArcFace + 0.05 × IAM", "ArcFace + 0.1 × IAM")
    assert among["NormFace + 0.8 × IAM over SphereFace"] == ("NormFace + 0.8 × IAM", "SphereFace")


def test_table_6_is_judged_by_rank_1() -> None:
    made = results(TABLE6, gains(every=-20))
    assert {claim.measures for claim in claims(6, made)} == {("identification rank-1",)}
    table = made.table().frame.set_index("row")
    assert table.loc["NormFace", "MegaFace rank 1 printed, %"] == "48.78"
    assert str(table.loc["NormFace", "rank 1 measured, %"]).startswith("9")
    words = {each.claim.text: each.word for each in made.judged()}
    assert words["NormFace + 0.8 × IAM over SphereFace"] in ("holds", "smaller than printed")
