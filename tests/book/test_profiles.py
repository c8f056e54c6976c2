"""The computed examples of the pages on losses: against derivatives worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from marginface.book import profiles
from marginface.book.profiles import Profile
from marginface.margins import ArcFace, CosFace, Margin, NormFace, SphereFace, WeightNormSoftmax
from marginface.regularizers import IAM

ANGLES = np.array([10.0, 45.0, 80.0, 120.0])


@pytest.mark.parametrize(
    ("margin", "T"),
    [
        (NormFace(30), lambda t: np.cos(t)),
        (CosFace(30, 0.35), lambda t: np.cos(t) - 0.35),
        (ArcFace(30, 0.5), lambda t: np.cos(t + 0.5)),
    ],
)
def test_the_gradient_across_an_embedding(margin: Margin, T: np.ufunc) -> None:
    """dL/dθ = -(1 - p) s T'(θ) with the others at 90°, over the embedding's length; nothing along it."""
    theta, length, h = np.radians(ANGLES), 2.0, 1e-6
    p = 1 / (1 + 9 * np.exp(-30 * T(theta)))
    slope = (T(theta + h) - T(theta - h)) / (2 * h)
    along, across = Profile(margin, classes=10).gradients(ANGLES, length)
    np.testing.assert_allclose(across, -(1 - p) * 30 * slope / length, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(along, 0, atol=1e-12)


def test_a_loss_that_keeps_the_norm_has_a_part_along() -> None:
    along, across = Profile(WeightNormSoftmax(), classes=10).gradients(np.array([60.0]), 4.0)
    p = 1 / (1 + 9 * math.exp(-4 * 0.5))
    assert along[0] == pytest.approx(-(1 - p) * 0.5)
    assert across[0] == pytest.approx((1 - p) * math.sin(math.radians(60)))


def test_iam_multiplies_the_gradient() -> None:
    z = 30 * np.cos(np.radians(ANGLES)) - math.log(9)
    plain, both = (Profile(NormFace(30), [IAM(beta)], 10).gradients(ANGLES)[1] for beta in (0.0, 0.5))
    np.testing.assert_allclose(both, plain * (1 + 0.5 * np.exp(z)), rtol=1e-6)  # e^z = p / (1 - p)


def test_slope() -> None:
    expected = np.sin(np.radians(ANGLES) + 0.5) / np.sin(np.radians(ANGLES))
    np.testing.assert_allclose(profiles.slope(ArcFace(m=0.5), ANGLES), expected)
    np.testing.assert_allclose(profiles.slope(ArcFace(m=0.5, gradient="straight_through"), ANGLES), 1)
    np.testing.assert_allclose(profiles.slope(SphereFace(1), ANGLES), 1)


def cell(table: pd.DataFrame, row: int, column: str) -> str:
    return str(table.loc[row, column])


def test_the_forms_with_an_arccos_or_a_root_give_nan_at_the_ends_and_ours_does_not() -> None:
    table = profiles.endpoint_table()
    assert table["θ = 0°"].tolist() == ["NaN", "NaN", "0.0000"]
    assert table["θ = 180°"].tolist() == ["NaN", "NaN", "0.0000"]
    assert len(set(table["θ = 1°"])) == 1


def test_sphereface_is_finite_through_a_polynomial_and_here() -> None:
    table = profiles.multiple_endpoint_table()
    assert table["θ = 0°"].tolist() == ["NaN", "0.0000", "0.0000"]
    assert table["θ = 180°"].tolist() == ["NaN", "0.0000", "0.0000"]
    assert set(table["θ = 1°"]) == {f"{4 * math.sin(math.radians(4)):.4f}"}


def test_half_precision_loses_small_angles() -> None:
    table = profiles.half_precision_table()
    assert [cell(table, 0, kind) for kind in ("float32", "float16", "bfloat16")] == ["1.00°", "0.00°", "0.00°"]


def test_autocast_changes_a_head_written_by_hand_and_not_ours() -> None:
    table = profiles.autocast_table()
    assert table["ours, autocast"].tolist() == table["by hand, float32"].tolist()
    assert table["by hand, autocast"].tolist() != table["by hand, float32"].tolist()


def test_zero_embedding() -> None:
    table = profiles.zero_table()
    assert table["gradient"].tolist() == ["NaN", "finite"]
    assert cell(table, 1, "loss") == f"{math.log(3):.4f}"


def test_naive_iam_overflows() -> None:
    table = profiles.naive_iam_table()
    assert "-inf" in table["log(1 − p)"].tolist()
    assert table["IAM"].tolist() == table["in float64"].tolist()


def test_the_steps_of_the_fallbacks() -> None:
    table = profiles.fallback_table(0.5)
    assert cell(table, 2, "easy") == "-0.000"
    assert cell(table, 4, "monotonic") == f"{-math.cos(0.5) - 0.5 * math.sin(0.5):+.3f}"


def test_boundary_of_a_longer_weight() -> None:
    table = profiles.weight_length_table((1, 2))
    assert table["Softmax"].tolist() == ["45°", f"{math.degrees(math.atan(2)):.0f}°"]
    assert table["WeightNormSoftmax"].tolist() == ["45°", "45°"]


def test_ceiling_is_reached_by_a_regular_simplex() -> None:
    corners = torch.eye(4, dtype=torch.float64) - 0.25
    cosines = torch.nn.functional.normalize(corners) @ torch.nn.functional.normalize(corners).T
    p = torch.softmax(2 * cosines, dim=1)[0, 0]
    assert cell(profiles.ceiling_table((4,), (2,)), 0, "s = 2") == f"{float(p):.4f}"


def test_annealing_leaves_nothing_at_a_large_lambda() -> None:
    table = profiles.annealing_table(lambdas=(1e6, 0))
    assert cell(table, 0, "the cosine of") == "60.0°"
    assert cell(table, 1, "the cosine of").startswith("none")


def test_the_seams_of_sphereface_have_no_gradient() -> None:
    table = profiles.kink_table()
    assert [abs(float(value)) for value in table["gradient across x there"]] == [0, 0, 0]
    assert table["ψ just below"].tolist() == table["ψ just above"].tolist()


def test_cosine_margins_in_degrees() -> None:
    table = profiles.cosine_margin_table((0.3,), (90,))
    assert cell(table, 0, "centres 90° apart") == f"{2 * math.degrees(math.asin(0.15 / math.sin(math.pi / 4))):.1f}°"
    assert cell(table, 0, "least distance of centres") == f"{math.degrees(math.acos(0.7)):.1f}°"


def test_the_two_readings_of_iam_differ_inside_the_margin() -> None:
    table = profiles.iam_reading_table(degrees=(60,))
    assert float(cell(table, 0, 'IAM adds, on="cosines"')) > 100 * float(cell(table, 0, 'IAM adds, on="logits"'))


def test_normalisation_removes_the_part_along() -> None:
    table = profiles.normalisation_table()
    ours = table[table["loss"].str.startswith("NormFace")]
    assert (ours["along x"].astype(float).abs() == 0).all()
    assert (table[~table["loss"].str.startswith("NormFace")]["along x"].astype(float)[:2] < 0).all()
