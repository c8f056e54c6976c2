"""T and U as curves, apart from any training."""

import math

import pytest
import torch

from marginface import reference
from marginface.angles import angle, sine
from marginface.margins import ArcFace, CosFace, SphereFace

THETA = torch.linspace(0, math.pi, 2001, dtype=torch.float64)


def test_angle_and_sine_invert_the_cosine() -> None:
    torch.testing.assert_close(angle(THETA.cos()), THETA, rtol=0, atol=1e-7)
    torch.testing.assert_close(sine(THETA.cos()), THETA.sin(), rtol=0, atol=1e-7)


def test_angle_keeps_small_angles_that_arccos_of_a_float32_would_blur() -> None:
    cosine = torch.tensor([1 - 2.0**-24], dtype=torch.float32)
    assert angle(cosine).item() == pytest.approx(math.acos(cosine.item()), rel=1e-6)


def test_arcface_is_the_cosine_of_a_larger_angle() -> None:
    torch.testing.assert_close(ArcFace(m=0.5).target(THETA.cos()), (THETA + 0.5).cos())


@pytest.mark.parametrize(("m", "lam"), [(1, 0), (1.5, 0), (2, 0), (3, 2), (4, 5)])
def test_sphereface_is_psi(m: float, lam: float) -> None:
    expected = torch.stack([reference.psi(theta, m, lam) for theta in THETA])
    torch.testing.assert_close(SphereFace(m, lam).target(THETA.cos()), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("m", [1.5, 2, 4])
def test_psi_falls_from_one_end_to_the_other(m: float) -> None:
    assert (SphereFace(m).target(THETA.cos()).diff() <= 0).all()


def test_the_monotonic_fallback_never_rises_and_none_does() -> None:
    assert (ArcFace(fallback="monotonic").target(THETA.cos()).diff() < 0).all()
    assert not (ArcFace().target(THETA.cos()).diff() < 0).all()


def test_the_easy_fallback_adds_its_margin_only_below_a_right_angle() -> None:
    easy = ArcFace(fallback="easy").target(THETA.cos())
    sharp = THETA.cos() > 0
    torch.testing.assert_close(easy[sharp], ArcFace().target(THETA.cos())[sharp])
    torch.testing.assert_close(easy[~sharp], THETA.cos()[~sharp])


def test_straight_through_changes_the_derivative_and_not_the_value() -> None:
    cosine = THETA[1:-1].cos().requires_grad_()
    exact, through = ArcFace().target(cosine), ArcFace(gradient="straight_through").target(cosine)
    torch.testing.assert_close(exact, through)
    (slope,) = torch.autograd.grad(through.sum(), cosine)
    torch.testing.assert_close(slope, torch.ones_like(slope))
    (slope,) = torch.autograd.grad(exact.sum(), cosine)
    torch.testing.assert_close(slope, (THETA[1:-1] + 0.5).sin() / THETA[1:-1].sin(), rtol=1e-5, atol=1e-5)


def test_others_stay_plain_cosines() -> None:
    cosine = THETA.cos()
    assert all(margin.others(cosine) is cosine for margin in (ArcFace(), CosFace(), SphereFace()))
