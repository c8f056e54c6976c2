"""How classes lie on the sphere, on points whose angles are known."""

import numpy as np
import pytest
import torch

from marginface.evaluation.sphere import QUANTILES, spreads


def points(*degrees: float) -> torch.Tensor:
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_angles_on_a_circle() -> None:
    """Class weights at 0, 90 and 210°; samples 8° before and 2° after them, so that their means are 3° before."""
    centres = torch.tensor([0.0, 90.0, 210.0]).repeat_interleave(2)
    x = points(*(centres + torch.tensor([-8.0, 2.0]).repeat(3)).tolist()) * torch.tensor([1.0, 7, 0.1, 3, 2, 5])[:, None]
    found = spreads(x, torch.tensor([0, 0, 1, 1, 2, 2]), 5 * points(0, 90, 210))
    middle = QUANTILES.index(0.5)
    assert found["own"] == pytest.approx(np.quantile([8, 8, 8, 2, 2, 2], QUANTILES), abs=1e-4)
    assert found["within"] == pytest.approx(np.full(7, 5), abs=1e-4)
    nearest = [98, 88, 82, 92, 112, 122]
    assert found["nearest"] == pytest.approx(np.quantile(nearest, QUANTILES), abs=1e-4)
    assert found["gap"] == pytest.approx(np.quantile(np.array(nearest) - [8, 2, 8, 2, 8, 2], QUANTILES), abs=1e-4)
    assert found["centres"] == pytest.approx(np.quantile([90, 90, 120], QUANTILES), abs=1e-4)
    assert found["weights"][middle] == pytest.approx(90, abs=1e-4)
    assert found["norms"] == pytest.approx(np.quantile([1, 7, 0.1, 3, 2, 5], QUANTILES), abs=1e-6)


def test_a_sample_nearer_to_another_class_has_a_negative_gap() -> None:
    assert spreads(points(80), torch.tensor([0]), points(0, 90))["gap"] == pytest.approx(np.full(7, 10 - 80), abs=1e-4)


def test_weights_are_compared_with_those_of_classes_without_samples() -> None:
    found = spreads(points(0, 90), torch.tensor([0, 1]), points(0, 90, 60))
    assert found["weights"] == pytest.approx(np.quantile([60, 30], QUANTILES), abs=1e-4)
    assert found["centres"] == pytest.approx(np.full(7, 90), abs=1e-4)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, W = torch.randn(50, 4), torch.randint(6, (50,)), torch.randn(6, 4)
    whole = spreads(x, y, W)
    monkeypatch.setattr("marginface.evaluation.sphere.BLOCK", 7)
    parts = spreads(x, y, W)
    assert all(parts[name] == pytest.approx(whole[name], abs=1e-4) for name in whole)


def test_of_several_weights_a_class_the_nearest_counts() -> None:
    x, labels = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3
    W = torch.randn(5, 4, dtype=torch.float64)
    alike, several = spreads(x, labels, W[:, None].expand(5, 3, 4)), spreads(x, labels, W)
    for name, quantiles in several.items():
        if name == "weights":  # of which there are more
            continue
        np.testing.assert_allclose(alike[name], quantiles, rtol=1e-6, err_msg=name)
    far = torch.stack([W, -x[:5]], dim=1)  # a second weight that is behind each sample
    assert (spreads(x[:3], labels[:3], far)["own"] <= spreads(x[:3], labels[:3], W)["own"]).all()
