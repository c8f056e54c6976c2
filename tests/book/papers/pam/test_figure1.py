"""PAM's geometry against angles worked out by hand."""

import math

import numpy as np
import pytest
import torch

from marginface import reference
from marginface.book.papers.pam import figure1
from marginface.margins import ArcFace, CosFace, Margin, NormFace


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
    one, two = figure1.plane(100).weights
    assert figure1.boundary(margin, one, two) - figure1.boundary(margin, two, one) == pytest.approx(gap, abs=1e-6)


def test_softmax_halves_the_circle() -> None:
    assert figure1.target_area(NormFace(), 140, 40).mean() == pytest.approx(0.5, abs=1e-3)
    assert figure1.target_area(ArcFace(), 140, 40).mean() < 0.5


def test_a_margin_too_wide_for_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="20° apart"):
        figure1.boundary(ArcFace(m=0.5), 100, 80)


def test_the_real_margin_of_samples_at_known_angles() -> None:
    drawn = figure1.Plane((140.0, 40.0), (np.array([130.0, 145.0]), np.array([20.0, 45.0])))
    x, y, W = figure1.as_tensors(drawn)
    assert figure1.real_margin(x, y, W) == pytest.approx(100 - 10 - 20)
    assert figure1.real_margin(3 * x, y, 2 * W) == pytest.approx(100 - 10 - 20)
    assert figure1.nearest_samples(x, y) == pytest.approx(130 - 45)
    torch.testing.assert_close(figure1.class_ranges(x, y, W), torch.tensor([10.0, 20.0], dtype=torch.float64).deg2rad().cos())


@pytest.mark.parametrize("dim", [2, 3, 50])
def test_the_real_margin_is_never_more_than_the_angle_between_samples(dim: int) -> None:
    for seed in range(5):
        x, y, W = figure1.in_dimension(dim, seed=seed)
        assert figure1.real_margin(x, y, W) == pytest.approx(90 - 40 - 40)
        assert figure1.real_margin(x, y, W) <= figure1.nearest_samples(x, y) + 1e-9


def test_eq_10_corrected_is_the_expansion_and_the_printed_one_is_not() -> None:
    errors = {name: error for name, (error, _) in figure1.eq10_errors().items()}
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
    claims = figure1.figure1_claims(figure1.plane(), figure1.margins(0.3, 0.5))
    kinds = [(claim.holds, claim.kind) for claim in claims]
    assert kinds == [*[(True, "claim")] * 3, (True, "observation"), (False, "misprint")]
    assert figure1.FIGURE1.verdict().word == "reproduced"
    facing = figure1.Plane((140.0, 40.0), (np.array([130.0]), np.array([50.0])))
    evidence = figure1.figure1_claims(facing, figure1.margins(0.3, 0.5))[3].evidence
    assert "here 80.0° and 80.0°" in evidence
    theta, nearest = figure1.angles_in_dimension(512)
    assert f"in 512 dimensions {theta:.1f}° and {nearest:.1f}°" in evidence
    assert figure1.dimensions_table().iloc[-1].tolist() == [512, f"{theta:.1f}°", f"{nearest:.1f}°"], "one number on one page"


def test_eq_8_as_printed_leaves_the_range_of_a_cosine_and_ours_does_not() -> None:
    table = figure1.repeats_table().set_index("reading")["R after the batch"].astype(float)
    assert table["as printed, before it is cut off"] == pytest.approx(0.9 - 0.7 - 0.8 - 0.6)
    assert table['repeats="sum"'] == -1
    assert table['repeats="lowest"'] == pytest.approx(0.1)
    assert table['repeats="mean"'] == pytest.approx(0.2)


def test_with_itself_a_class_has_one_real_neighbour_left() -> None:
    table = figure1.include_self_table().set_index("reading")["pairs of a class with itself"]
    assert table["include_self=False"] == "0%"
    assert table["include_self=True"] == "50%"


def test_the_other_half_of_eq_7_are_the_nearest_neighbours() -> None:
    nearest, own = figure1.neighbours_found()
    assert nearest
    assert own == 0.5
