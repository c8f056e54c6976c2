"""The triplet loss against the literal equations, its mining, and batches without a triplet."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from marginface import reference
from marginface.triplet import triplet_loss

Mining = Literal["semi_hard", "batch_hard"]
LITERAL: dict[Mining, Callable[[Tensor, Tensor, float], Tensor]] = {
    "semi_hard": reference.triplet_semi_hard,
    "batch_hard": reference.triplet_batch_hard,
}


@pytest.mark.parametrize("mining", LITERAL)
@settings(deadline=None, max_examples=40)
@given(N=st.integers(1, 9), dim=st.integers(2, 5), C=st.integers(1, 5), margin=st.floats(0.05, 2), seed=st.integers(0, 1000))
def test_equals_the_literal_equation(mining: Mining, N: int, dim: int, C: int, margin: float, seed: int) -> None:
    torch.manual_seed(seed)
    x, y = torch.randn(N, dim, dtype=torch.float64, requires_grad=True), torch.randint(C, (N,))
    ours, expected = triplet_loss(x, y, margin, mining), LITERAL[mining](x, y, margin)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)
    (mine,), (theirs,) = torch.autograd.grad(ours, [x]), torch.autograd.grad(expected, [x])
    torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


def on_a_circle(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def squared(degrees: float) -> float:
    return float(2 - 2 * torch.tensor(degrees, dtype=torch.float64).deg2rad().cos())


def test_mining_on_a_circle() -> None:
    """Anchors at 0° and 30° are one class; 10°, 50° and 95° are single."""
    x, y = on_a_circle(0, 30, 10, 50, 95), torch.tensor([0, 0, 1, 2, 3])
    # batch hard: 0 -> (30, 10), 30 -> (0, 10 or 50: both 20 away)
    hard = [squared(30) - squared(10) + 0.5, squared(30) - squared(20) + 0.5]
    assert triplet_loss(x, y, 0.5, "batch_hard").item() == pytest.approx(sum(hard) / 2)
    # semi-hard: of those farther than 30°, 0 has 50 and 30 has 95
    semi = [squared(30) - squared(50) + 0.5, max(0, squared(30) - squared(65) + 0.5)]
    assert triplet_loss(x, y, 0.5, "semi_hard").item() == pytest.approx(sum(semi) / 2)
    assert semi[1] == 0  # which counts in the mean


def test_lengths_do_not_matter() -> None:
    x, y = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 3
    for mining in LITERAL:
        torch.testing.assert_close(
            triplet_loss(x, y, 0.5, mining), triplet_loss(x * torch.arange(1, 9)[:, None], y, 0.5, mining)
        )


@pytest.mark.parametrize("mining", LITERAL)
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
def test_without_a_triplet_the_loss_is_zero_and_can_be_trained_on(mining: Mining, labels: list[int]) -> None:
    x = torch.randn(len(labels), 4, requires_grad=True)
    loss = triplet_loss(x, torch.tensor(labels), mining=mining)
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert (x.grad == 0).all()


def test_a_pair_without_a_farther_negative_forms_no_semi_hard_triplet() -> None:
    x, y = on_a_circle(0, 90, 10, 20), torch.tensor([0, 0, 1, 2])
    assert triplet_loss(x, y, 0.5, "semi_hard").item() == 0  # every negative is nearer than 90°
    assert triplet_loss(x, y, 0.5, "batch_hard").item() > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [3, 16, 512])
def test_a_copy_of_the_positive_is_as_near_as_the_positive(dtype: torch.dtype, dim: int) -> None:
    """Of classes that hold copies of the same images none has a negative farther than its positive by luck."""
    for seed in range(60):
        torch.manual_seed(seed)
        images = torch.randn(2, dim, dtype=dtype) * torch.rand(2, 1, dtype=dtype)
        x, y = images.repeat(seed % 5 + 2, 1), torch.arange(2 * (seed % 5 + 2)) // 2
        assert triplet_loss(x, y, 0.5, "semi_hard").item() == 0


@pytest.mark.parametrize("mining", LITERAL)
def test_finite_for_duplicates_opposites_and_zeros(mining: Mining) -> None:
    row = torch.tensor([0.3, -0.2, 0.7])
    near = row + torch.tensor([0.1, 0.0, 0.0])
    x = torch.stack([row, row, row, -row, 0 * row, 2 * row, near]).requires_grad_()
    loss = triplet_loss(x, torch.tensor([0, 0, 1, 1, 0, 2, 3]), mining=mining)
    (gradient,) = torch.autograd.grad(loss, [x])
    assert 0 < loss < 4.2
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 100


@pytest.mark.parametrize("mining", LITERAL)
def test_gradcheck(mining: Mining) -> None:
    x, y = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    assert triplet_loss(x, y, 0.7, mining) > 0
    assert torch.autograd.gradcheck(lambda x: triplet_loss(x, y, 0.7, mining), (x,))


@pytest.mark.parametrize("mining", LITERAL)
def test_the_order_of_the_batch_does_not_matter(mining: Mining) -> None:
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 3
    order = torch.randperm(9)
    torch.testing.assert_close(triplet_loss(x[order], y[order], 0.5, mining), triplet_loss(x, y, 0.5, mining))


def test_autocast_leaves_it_in_float32() -> None:
    x, y = torch.randn(8, 4), torch.arange(8) % 3
    with torch.autocast("cpu", torch.bfloat16):
        loss = triplet_loss(x, y)
    torch.testing.assert_close(loss, triplet_loss(x, y), rtol=0, atol=0)
    assert triplet_loss(x.bfloat16(), y).dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        (torch.ones(4), torch.zeros(4).long(), {}, r"embeddings must have shape"),
        (torch.ones(0, 4), torch.zeros(0).long(), {}, r"N at least 1"),
        (torch.ones(3, 4).long(), torch.zeros(3).long(), {}, r"floating point, not torch.int64"),
        (torch.full((3, 4), torch.nan), torch.zeros(3).long(), {}, r"NaN or infinity"),
        (torch.ones(3, 4), torch.zeros(2).long(), {}, r"labels must have shape \(3,\)"),
        (torch.ones(3, 4), torch.zeros(3), {}, r"not torch.float32"),
        (torch.ones(3, 4), torch.zeros(3).long(), {"margin": 0}, r"margin=0"),
        (torch.ones(3, 4), torch.zeros(3).long(), {"margin": float("nan")}, r"margin=nan"),
        (torch.ones(3, 4), torch.zeros(3).long(), {"mining": "all"}, r"mining='all'"),
    ],
)
def test_bad_input_is_named(x: Tensor, y: Tensor, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        triplet_loss(x, y, **settings)
