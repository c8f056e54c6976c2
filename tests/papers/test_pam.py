"""PAM's geometry against angles worked out by hand."""

import math

import numpy as np
import pytest
import torch

from marginface import reference
from marginface.margins import ArcFace, CosFace, Margin, NormFace
from marginface.papers import pam


@pytest.mark.parametrize(
    ("margin", "gap"),
    [
        (NormFace(), 0.0),
        (ArcFace(m=0.5), math.degrees(0.5)),
        # cos(50° - g/2) - cos(50° + g/2) = 2 sin 50° sin(g/2)
        (CosFace(m=0.3), 2 * math.degrees(math.asin(0.15 / math.sin(math.radians(50))))),
    ],
)
def test_the_gap_between_the_boundaries(margin: Margin, gap: float) -> None:
    one, two = pam.plane(100).weights
    assert pam.boundary(margin, one, two) - pam.boundary(margin, two, one) == pytest.approx(gap, abs=1e-6)


def test_softmax_halves_the_circle() -> None:
    assert pam.target_area(NormFace(), 140, 40).mean() == pytest.approx(0.5, abs=1e-3)
    assert pam.target_area(ArcFace(), 140, 40).mean() < 0.5


def test_a_margin_too_wide_for_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="20° apart"):
        pam.boundary(ArcFace(m=0.5), 100, 80)


def test_the_real_margin_of_samples_at_known_angles() -> None:
    drawn = pam.Plane((140.0, 40.0), (np.array([130.0, 145.0]), np.array([20.0, 45.0])))
    x, y, W = pam.as_tensors(drawn)
    assert pam.real_margin(x, y, W) == pytest.approx(100 - 10 - 20)
    assert pam.real_margin(3 * x, y, 2 * W) == pytest.approx(100 - 10 - 20)
    assert pam.nearest_samples(x, y) == pytest.approx(130 - 45)
    torch.testing.assert_close(pam.class_ranges(x, y, W), torch.tensor([10.0, 20.0], dtype=torch.float64).deg2rad().cos())


@pytest.mark.parametrize("dim", [2, 3, 50])
def test_the_real_margin_is_never_more_than_the_angle_between_samples(dim: int) -> None:
    for seed in range(5):
        x, y, W = pam.in_dimension(dim, seed=seed)
        assert pam.real_margin(x, y, W) == pytest.approx(90 - 40 - 40)
        assert pam.real_margin(x, y, W) <= pam.nearest_samples(x, y) + 1e-9


def test_eq_10_corrected_is_the_expansion_and_the_printed_one_is_not() -> None:
    errors = {name: error for name, (error, _) in pam.eq10_errors().items()}
    corrected = errors.pop("corrected")
    assert corrected < 1e-12
    assert len(errors) == 2
    assert min(errors.values()) > 0.9


def test_eq_10_as_printed_is_right_where_sine_and_cosine_of_the_last_angle_agree() -> None:
    """The misprint alone: R(j) for √(1 - R(j)²), the same at 45°."""
    theta, theta_i, theta_j = (torch.tensor(math.radians(angle), dtype=torch.float64) for angle in (70, 20, 45))
    printed = reference.pam_eq10_printed(theta.cos(), theta_i.cos(), theta_j.cos())
    torch.testing.assert_close(printed, (theta - theta_i - theta_j).cos())


def test_claims() -> None:
    claims = pam.figure1_claims(pam.plane(), pam.margins(0.3, 0.5))
    assert [claim.holds for claim in claims] == [True, True, True, False, False]
    assert pam.figure1_verdict().word == "reproduced in part"
    facing = pam.Plane((140.0, 40.0), (np.array([130.0]), np.array([50.0])))
    evidence = pam.figure1_claims(facing, pam.margins(0.3, 0.5))[3].evidence
    assert "here 80.0°, nearest samples 80.0°" in evidence


def test_eq_8_as_printed_leaves_the_range_of_a_cosine_and_ours_does_not() -> None:
    table = pam.repeats_table().set_index("reading")["R after the batch"].astype(float)
    assert table["as printed, before it is cut off"] == pytest.approx(0.9 - 0.7 - 0.8 - 0.6)
    assert table['repeats="sum"'] == -1
    assert table['repeats="lowest"'] == pytest.approx(0.1)
    assert table['repeats="mean"'] == pytest.approx(0.2)


def test_with_itself_a_class_has_one_real_neighbour_left() -> None:
    table = pam.include_self_table().set_index("reading")["pairs of a class with itself"]
    assert table["include_self=False"] == "0%"
    assert table["include_self=True"] == "50%"
