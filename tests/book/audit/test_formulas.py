"""The checks of printed equations: against hand-made values, and claims that can turn out either way."""

import math

import numpy as np
import pytest
import torch

from marginface.book.audit import summary
from marginface.book.audit.formulas import claims as formula_claims
from marginface.book.audit.formulas import equations
from marginface.book.verdicts import Claim
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CombinedMargin, InterFace, NormFace, RedefinedArcFace


def find(claims: list[Claim], part: str) -> Claim:
    (claim,) = [claim for claim in claims if part in claim.text]
    return claim


def test_every_loss_is_its_equation() -> None:
    table = equations.literal_table()
    assert table.iloc[:, 1:].astype(float).to_numpy().max() < 1e-12


def test_special_cases() -> None:
    off = equations.special_case_error(CombinedMargin(64, 1, 1, 0), NormFace(64))
    assert off == pytest.approx(2 * math.sin(0.5), abs=1e-4)  # cos(θ) - cos(θ + 1) = 2 sin(θ + 0.5) sin(0.5)
    assert equations.special_case_error(CombinedMargin(64), NormFace(64)) < 1e-12


def test_sides_change_in_a_corner_only() -> None:
    """Where θ_y + θ_j < m2 - m1, a triangle of the pairs that are counted."""
    assert equations.side_changes(0.3, 0.2) == 0
    assert equations.side_changes(0.2, 0.3, apart=0.5) == 0
    corner, counted = math.degrees(0.1) ** 2 / 2, (180 - math.degrees(0.5)) * 180
    assert equations.side_changes(0.2, 0.3) == pytest.approx(corner / counted, rel=0.2)


def test_the_loss_of_one_sample_is_the_heads() -> None:
    margin = RedefinedArcFace(16.0, 0.3, 0.2)
    head = MarginHead(3, 5, margin).double()
    head.weight.data = torch.tensor([[1.0, 0, 0]] + 4 * [[0, 0, 1.0]], dtype=torch.float64)
    x = torch.tensor([[math.cos(0.7), math.sin(0.7), 0]], dtype=torch.float64)
    ours = equations.loss_at(margin, np.degrees([0.7]), classes=5)[0]
    assert ours == pytest.approx(head(x, torch.tensor([0])).item(), abs=1e-12)


def test_only_the_unsplit_margin_is_arcface() -> None:
    assert max(equations.split_difference(0.5, 0.0)) < 1e-12
    assert min(equations.split_difference(0.3, 0.2)) > 1e-3


def test_splits_share_the_boundary_and_nothing_else() -> None:
    table = equations.splits_table()
    assert table.iloc[:, 2].astype(float).abs().max() < 1e-9
    assert all(table.iloc[:, k].nunique() == len(equations.SPLITS) for k in range(3, table.shape[1]))


def test_gamma_to_the_letter_knows_no_angle() -> None:
    table = equations.gamma_table(degrees=(20, 40, 60), between=90)
    assert set(table.iloc[0, 1:]) == set(table.iloc[1, 1:]) == {"not defined"}
    assert set(table.iloc[2, 1:]) == {"1.000"}
    assert table.iloc[3, 1:].astype(float).tolist() == pytest.approx([20 / 90, 40 / 90, 60 / 90], abs=5e-4)


def test_f_turns_where_gamma_is_t() -> None:
    assert equations.turning_angle(InterFace.cid_ct()) == pytest.approx(0.2 * 90)
    assert equations.turning_angle(InterFace.did_ct(), between=60) == pytest.approx(0.3 * 60)
    assert equations.turning_angle(InterFace.did_dt(sign="released"), between=60) == pytest.approx(10)


def test_b_matters_in_degrees() -> None:
    assert equations.b_effect("degrees") == pytest.approx(math.exp(-10 / 90) - math.exp(-60 / 90))
    assert equations.b_effect("radians") == pytest.approx(math.exp(-10 / (math.pi / 2)), rel=1e-6)


def test_arcfaces_angles() -> None:
    turn, low, high = equations.arcface_angles()
    curve = ArcFace().target(torch.from_numpy(np.cos(np.radians([turn - 0.1, turn, turn + 0.1]))))
    assert curve[1] < min(curve[0], curve[2])
    for theta in np.radians([low, high]):
        assert math.cos(theta + 0.5) == pytest.approx(math.cos(theta) - 0.35)
    assert low < 60 < high


def test_eq_13_with_a_margin() -> None:
    assert equations.error_with_margin(4.0, 0.0, 0.2, "one p") < 1e-12
    assert equations.error_with_margin(4.0, 0.4, 0.2, "two p") < 1e-12
    assert equations.error_with_margin(4.0, 0.4, 0.2, "one p") > 1e-3
    assert equations.trends_with_margin() == (True, True)


def test_f_of_one_sample_over_other_classes() -> None:
    assert equations.spread_over_classes(InterFace.cid_ct()) == 0
    assert equations.spread_over_classes(InterFace.did_ct()) > 1e-3


def test_classes_that_touch() -> None:
    """Euler: 12 points on a sphere in general position have 3 · 12 - 6 edges."""
    assert equations.adjacent_pairs(12) == (30, 12, 12)


def test_range_of_a_class() -> None:
    learned, real = equations.learned_range(samples=20, beta=0.0)
    assert learned == pytest.approx(real), "what never shrinks stays at the farthest sample"
    learned, real = equations.learned_range()
    assert learned > real + 0.05
    assert equations.text_of_eq9(0.5, 0.9, 0.01) == pytest.approx((0.504, 0.491))


def test_claims_that_hold_and_that_do_not() -> None:
    claims = formula_claims.claims()
    assert list(claims) == ["InterFace", "ArcFace", "IAM", "PAM"]
    expected = {
        "InterFace": {
            "m1 = 1, m2 = 0": (True, "claim"),
            "m1 = 1, m2 = 1": (False, "misprint"),
            "is SphereFace": (True, "claim"),
            "Eq. 4 and ArcFace are two losses": (True, "observation"),
            "convex": (True, "claim"),
            "60°), with cid&ct": (False, "claim"),
            "60°), with did&ct": (False, "claim"),
            "60°), with did&dt, b = 10 rad": (True, "claim"),
            "60°), with did&dt, b = 10°": (False, "observation"),
            "single sample”, with cid&ct": (False, "claim"),
            "single sample”, with did&ct and did&dt": (True, "claim"),
            "six losses": (True, "observation"),
        },
        "ArcFace": {"curve rises": (True, "claim"), "we can get": (True, "claim")},
        "IAM": {
            "Eq. 12 is": (True, "claim"),
            "Eq. 10 is ∂/∂w̃ of the own class, for a batch": (False, "misprint"),
            "This will not change our analysis": (True, "claim"),
            "more heavily": (True, "claim"),
            "weighs a sample's other classes alike": (True, "observation"),
            "has no lower bound": (True, "observation"),
        },
        "PAM": {
            "continuity": (True, "claim"),
            "Eq. 10": (False, "misprint"),
            "Eq. 8 as printed": (True, "observation"),
            "nearest neighbour class": (True, "claim"),
            "minimum number of pairs": (True, "claim"),
        },
    }
    for paper, outcomes in expected.items():
        for part, outcome in outcomes.items():
            claim = find(claims[paper], part)
            assert (claim.holds, claim.kind) == outcome, part
    assert "f at 10°, 40°, 60° and 90°: +0.089, +0.064, +0.051, +0.037 rad" in find(claims["InterFace"], "10 rad").evidence
    assert "at θ = 40° f is -0.0178 rad" in find(claims["InterFace"], "single sample”, with cid&ct").evidence
    verdict = summary.verdict(claims)
    assert verdict.word == "reproduced in part"
    assert len(verdict.evidence) == 5


def test_a_verdict_on_claims_that_all_hold() -> None:
    right = Claim("a", "b", True, "c")
    assert summary.verdict({"PAM": [right], "IAM": [right, right]}).evidence == (
        "3 of 3 claims hold",
        "PAM: 1 of 1",
        "IAM: 2 of 2",
    )


def test_a_verdict_counts_claims_alone() -> None:
    others = [Claim("a", "b", False, "c", kind) for kind in ("misprint", "misprint", "observation")]
    verdict = summary.verdict({"PAM": [Claim("a", "b", True, "c"), *others]})
    assert verdict.word == "reproduced"
    assert verdict.evidence[1] == "PAM: 1 of 1; beside them 2 misprints and 1 observation"
    line = summary.table({"PAM": [Claim("a", "b", True, "c"), *others]}).iloc[0].tolist()
    assert line == ["PAM", 1, 1, 0, 2, 1]
