"""Angles within and between classes, on points whose angles are known."""

import math

import pytest
import torch

from marginface.evaluation.classification import class_angles


def test_angles_on_a_circle() -> None:
    """Two samples 5° on either side of 0°, 90° and 210°."""
    centres = torch.tensor([0.0, 90.0, 210.0]).repeat_interleave(2)
    degrees = centres + torch.tensor([-5.0, 5.0]).repeat(3)
    radius = torch.tensor([1.0, 7.0, 0.1, 3.0, 2.0, 5.0])[:, None]  # norms must not matter
    points = radius * torch.stack([(degrees * math.pi / 180).cos(), (degrees * math.pi / 180).sin()], dim=1)
    angles = class_angles(points, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert angles["intra_angle"] == pytest.approx(5, abs=1e-4)
    assert angles["inter_angle"] == pytest.approx((90 + 90 + 120) / 3, abs=1e-4)
    assert angles["min_inter_angle"] == pytest.approx(90, abs=1e-4)


def test_the_vertices_of_a_cube() -> None:
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    angles = class_angles(corners, torch.arange(8))
    assert angles["intra_angle"] == pytest.approx(0, abs=1e-5)
    assert angles["inter_angle"] == pytest.approx(math.degrees(math.acos(1 / 3)), abs=1e-4)
