"""Regions on the sphere: areas and distances against spherical trigonometry."""

import math
from itertools import pairwise

import numpy as np
import pytest

from marginface.book.papers.arcface import figure2
from marginface.margins import ArcFace, CosFace, Margin, NormFace, SphereFace

POLES = np.array([[0, 0, 1.0], [0, 0, -1.0]])


def test_the_spiral_and_the_centres_are_of_unit_length() -> None:
    for points in (figure2.spiral(100), figure2.centres(8)):
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    np.testing.assert_allclose(figure2.spiral(1000).mean(axis=0), 0, atol=1e-2)


@pytest.mark.parametrize(
    ("margin", "edge"),
    [
        (NormFace(), 90),
        (ArcFace(m=0.5), 90 - math.degrees(0.25)),
        (CosFace(m=0.4), math.degrees(math.acos(0.2))),
        (SphereFace(2), 60),
    ],
)
def test_classes_at_the_poles_have_caps(margin: Margin, edge: float) -> None:
    """A cap of angular radius r covers (1 - cos r) / 2 of the sphere."""
    np.testing.assert_allclose(figure2.shares(margin, POLES), (1 - math.cos(math.radians(edge))) / 2, atol=1e-3)


@pytest.mark.parametrize("apart", [60.0, 100.0, 150.0])
def test_the_smallest_distance_between_two_regions(apart: float) -> None:
    half = math.sin(math.radians(apart / 2))
    smallest = {
        ArcFace(m=0.5): math.degrees(0.5),
        CosFace(m=0.35): 2 * math.degrees(math.asin(0.175 / half)),
        SphereFace(2): apart / 3,
    }
    for margin, expected in smallest.items():
        least, most = figure2.corridor(margin, apart)
        assert least == pytest.approx(expected, abs=1e-3)
        # cos θ1 - cos θ2 = m is a plane: CosFace's two edges are parallel circles
        assert (most < least + 1e-6) == isinstance(margin, CosFace)


def test_opposite_classes_have_a_strip_of_one_width() -> None:
    assert figure2.corridor(ArcFace(m=0.5), 180) == pytest.approx([math.degrees(0.5)] * 2, abs=1e-6)


def test_classes_that_are_too_near_have_no_region() -> None:
    with pytest.raises(ValueError, match="40° apart"):
        figure2.corridor(CosFace(m=0.35), 40)


def test_a_point_has_at_most_one_owner_and_keeps_it_with_a_smaller_margin() -> None:
    W, directions = figure2.centres(6), figure2.spiral(3000)
    owners = [figure2.regions(margin, directions, W) for margin in figure2.arcface_steps().values()]
    for wide, narrow in pairwise(owners):
        kept = narrow != figure2.NOBODY
        assert (wide[kept] == narrow[kept]).all()
        assert kept.sum() < (wide != figure2.NOBODY).sum()


@pytest.mark.slow
def test_claims_can_fail() -> None:
    W = figure2.centres()
    assert [c.holds for c in figure2.figure2_claims(figure2.margins(), W)] == [True, True, True]
    assert [c.holds for c in figure2.figure2_claims(figure2.margins(0.0, 0.0, 1), W)] == [False, True, False]
    assert figure2.FIGURE2.verdict().word == "reproduced"
