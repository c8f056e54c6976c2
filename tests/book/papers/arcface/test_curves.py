"""ArcFace's curves and boundaries: the claims against angles worked out by hand."""

import math

import numpy as np
import pytest

from marginface.book.papers.arcface import curves
from marginface.margins import ArcFace, CosFace, NormFace, SphereFace


def holds(claims: list, start: str) -> bool:
    (claim,) = [claim for claim in claims if claim.text.startswith(start)]
    return claim.holds


def test_the_curves_cross_where_trigonometry_says() -> None:
    """cos(θ + m) = cos θ - c  ⇔  2 sin(m/2) sin(θ + m/2) = c."""
    half = math.asin(0.35 / (2 * math.sin(0.25)))
    crossings = np.degrees([half - 0.25, math.pi - half - 0.25])
    T_arc, T_cos = (curves.target_logit(margin, crossings) for margin in (ArcFace(m=0.5), CosFace(m=0.35)))
    np.testing.assert_allclose(T_arc, T_cos, atol=1e-12)
    (claim,) = [c for c in curves.figure4_claims(curves.figure4()) if "between 30° to 90°" in c.text]
    assert f"{math.ceil(100 * crossings[0]) / 100:.2f}°" in claim.evidence
    assert f"{math.floor(100 * crossings[1]) / 100:.2f}°" in claim.evidence
    assert claim.holds, "to a degree, as its thresholds are meant"


@pytest.mark.parametrize("m_arcface", [0.0, 0.1, 1.5, 3.0])
@pytest.mark.parametrize("m_cosface", [0.0, 0.9])
def test_any_margin_gets_its_claims(m_arcface: float, m_cosface: float) -> None:
    assert len(curves.figure4_claims(curves.figure4(m_arcface, m_cosface))) == 9


def test_claims_turn_with_the_margins() -> None:
    """A claim that could only come out one way would test nothing."""
    as_printed, other = curves.figure4_claims(curves.figure4()), curves.figure4_claims(curves.figure4(0.3, 0.1))
    assert holds(as_printed, "ArcFace's curve rises")
    assert not holds(other, "ArcFace's curve rises")
    lower, rank = "“the target logit curve of ArcFace is lower", "between 30° and 60°"
    assert holds(as_printed, lower)
    assert holds(as_printed, rank)
    higher = curves.figure4_claims(curves.figure4(0.5, 0.37))  # they cross at 34°
    assert not holds(higher, lower)
    assert not holds(higher, rank)
    assert holds(as_printed, "CosineFace is stricter")
    assert not holds(curves.figure4_claims(curves.figure4(0.5, 0.0)), "CosineFace is stricter")


@pytest.mark.parametrize(
    ("margin", "theta2", "theta1"),
    [
        (NormFace(), 50, 50),
        (ArcFace(m=math.radians(20)), 50, 30),
        (SphereFace(2), 50, 25),
        (CosFace(m=0.5), 90, 60),
        (CosFace(m=0.5), 70, math.degrees(math.acos(math.cos(math.radians(70)) + 0.5))),
    ],
)
def test_boundary_angle(margin: NormFace, theta2: float, theta1: float) -> None:
    assert curves.boundary_angle(margin, np.array([theta2])) == pytest.approx([theta1], abs=0.02)


def test_no_boundary_where_class_1_cannot_win() -> None:
    assert np.isnan(curves.boundary_angle(CosFace(m=0.5), np.array([10.0]))).all()


def test_table_1_is_the_boundary_of_what_trains() -> None:
    rows = curves.table1()
    assert all(curves.table1_agreement(row) < 1e-10 for row in rows.values())
    assert curves.softmax_agreement() < 1e-12
    assert all(claim.holds for claim in curves.table1_claims(rows))
    assert not all(claim.holds for claim in curves.table1_claims(curves.table1(m_cos=0.0)))


def test_agreement_sees_a_wrong_equation() -> None:
    wrong = curves.table1(m_arc=0.5)["ArcFace"], curves.table1(m_arc=0.4)["ArcFace"]
    mixed = curves.Boundary(wrong[0].printed, wrong[0].margin, wrong[1].literal)
    assert curves.table1_agreement(mixed) > 1


def test_a_curve_is_similar_to_the_nearest_on_average() -> None:
    (claim,) = [c for c in curves.figure4_claims(curves.figure4()) if "is similar to" in c.text]
    assert claim.holds
    assert claim.evidence.startswith("mean distance: SphereFace (m=1.5, λ=0) 0.10, ArcFace (m=0.5) 0.11")
    assert claim.evidence.endswith("at most 0.07 up to 45°, 0.17 up to 60°, 0.21 up to 90°")
    (claim,) = [c for c in curves.figure4_claims(curves.figure4(0.45)) if "is similar to" in c.text]
    assert not claim.holds
