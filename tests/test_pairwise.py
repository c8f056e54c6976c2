"""Losses of pairs against the literal equations, and batches where some kind of pair is missing. Triplets: test_triplet."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from marginface import pairwise, reference
from marginface.book import descriptions
from marginface.pairwise import CirclePairLoss, ContrastiveLoss, NPairLoss, PairHead, PairLoss
from marginface.training.recipes import Recipe
from marginface.triplet import Triplet

Equation = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, tuple[PairLoss, Equation]] = {
    "contrastive": (ContrastiveLoss(1.2), lambda x, y: reference.contrastive(F.normalize(x), y, 1.2)),
    "contrastive as printed": (ContrastiveLoss(3, normalized=False), lambda x, y: reference.contrastive(x, y, 3)),
    "n-pair": (NPairLoss(0.1), lambda x, y: reference.n_pair(x, y, 0.1)),
    "n-pair of directions": (NPairLoss(0, scale=9.0), lambda x, y: reference.n_pair(3 * F.normalize(x), y, 0)),
    "circle": (CirclePairLoss(0.25, 16), lambda x, y: reference.circle_pair(x, y, 0.25, 16)),
    "circle with its defaults": (CirclePairLoss(), lambda x, y: reference.circle_pair(x, y, 0.4, 80)),
}
KINDS = [ContrastiveLoss, NPairLoss, CirclePairLoss]


def test_every_loss_is_tested() -> None:
    found = {kind for kind in vars(pairwise).values() if isinstance(kind, type) and issubclass(kind, PairLoss)}
    assert found - {PairLoss} == {type(loss) for loss, _ in LOSSES.values()} == set(KINDS)


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, max_examples=25)
@given(N=st.integers(1, 9), dim=st.integers(2, 5), C=st.integers(1, 4), seed=st.integers(0, 1000))
def test_equals_the_literal_equation(name: str, N: int, dim: int, C: int, seed: int) -> None:
    torch.manual_seed(seed)
    x, y = torch.randn(N, dim, dtype=torch.float64, requires_grad=True), torch.randint(C, (N,))
    loss, equation = LOSSES[name]
    ours, expected = loss(x, y), equation(x, y)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    (mine,), (theirs,) = torch.autograd.grad(ours, [x]), torch.autograd.grad(expected, [x])
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_is_as_exact_as_it_can_be(name: str) -> None:
    x, y = torch.randn(24, 8, dtype=torch.float64), torch.arange(24) % 6
    loss, equation = LOSSES[name]
    x = x.float().double()
    torch.testing.assert_close(loss(x.float(), y).double(), equation(x, y), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0], [0, 0, 1]])
def test_finite_where_a_kind_of_pair_is_missing(kind: type[PairLoss], labels: list[int]) -> None:
    x = torch.randn(len(labels), 4, requires_grad=True)
    loss = kind()(x, torch.tensor(labels))
    loss.backward()
    assert torch.isfinite(loss)
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    if len(labels) == 1:
        assert loss == 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_for_duplicates_opposites_and_zeros(name: str, dtype: torch.dtype) -> None:
    row = torch.tensor([0.3, -0.2, 0.7], dtype=dtype)
    near = row + 1e-6
    x = torch.stack([row, row, row, -row, 0 * row, 2 * row, near, near]).requires_grad_()
    loss = LOSSES[name][0](x, torch.tensor([0, 0, 1, 1, 0, 2, 3, 2]))
    (gradient,) = torch.autograd.grad(loss, [x])
    assert 0 < loss < 300  # of γ = 80, whose exponents reach 80 · 1.4²
    assert torch.isfinite(gradient).all()
    assert 0 < gradient.abs().max() < 1000


@pytest.mark.parametrize("name", [name for name in LOSSES if "circle" not in name])  # whose weights have no gradient
def test_gradcheck(name: str) -> None:
    x, y = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    assert LOSSES[name][0](x, y) > 0
    assert torch.autograd.gradcheck(lambda x: LOSSES[name][0](x, y), (x,))


def test_two_coincident_samples_of_two_classes_repel_in_no_direction() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = ContrastiveLoss(1.0)(x, torch.tensor([0, 1]))
    assert loss == 0.5
    assert (torch.autograd.grad(loss, x)[0] == 0).all()


def test_contrastive_on_a_line() -> None:
    """Two at 0 and 3 of a class, others at 1 and 10, margin 4, as printed."""
    x, y = torch.tensor([[0.0], [3.0], [1.0], [10.0]]), torch.tensor([0, 0, 1, 2])
    expected = (3**2 + (4 - 1) ** 2 + (4 - 2) ** 2) / 2 / 6  # 0-3; 0-1, 3-1; the rest is farther apart than 4
    assert ContrastiveLoss(4, normalized=False)(x, y).item() == pytest.approx(expected)


def test_n_pairs_are_taken_in_the_batchs_order() -> None:
    """Of three samples of a class the third takes no part; of four, two pairs that are not each other's negatives."""
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(NPairLoss()(x, torch.tensor([1, 0, 1, 0, 1, 2, 0])), x)
    assert (gradient.abs().sum(dim=1) > 0).tolist() == [True, True, True, True, False, False, False]
    assert NPairLoss(l2=0)(x, torch.zeros(7, dtype=torch.int64)) == 0


def test_circles_gradient_is_eq_10() -> None:
    """Of one sample with a positive and a negative: Z γ (s_n + m), and -Z γ (1 + m - s_p), with Z = 1 - e^-L."""
    m, gamma = 0.25, 8.0
    angles = torch.tensor([0.0, 0.8, 1.9], dtype=torch.float64, requires_grad=True)
    x = torch.stack([angles.cos(), angles.sin()], dim=1)
    loss = 2 * CirclePairLoss(m, gamma)(x, torch.tensor([0, 0, 1]))  # the mean over the two that have both kinds
    s_p, s_n, s_other = math.cos(0.8), math.cos(1.9), math.cos(1.1)
    slopes = []
    for negative in (s_n, s_other):
        L = math.log(1 + math.exp(gamma * (max(0, negative + m) * (negative - m) - (1 + m - s_p) * (s_p - 1 + m))))
        Z = 1 - math.exp(-L)
        slopes.append((Z * gamma * max(0, negative + m), -Z * gamma * (1 + m - s_p)))
    (gradient,) = torch.autograd.grad(loss, angles)
    assert gradient[2].item() == pytest.approx(-slopes[0][0] * math.sin(1.9) - slopes[1][0] * math.sin(1.1))
    of_positive = (slopes[0][1] + slopes[1][1]) * -math.sin(0.8)
    assert gradient[1].item() == pytest.approx(of_positive + slopes[1][0] * math.sin(1.1))


def test_lengths_do_not_matter_where_directions_are_taken() -> None:
    x, y = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 3
    longer = x * torch.arange(1, 9)[:, None]
    for loss in (ContrastiveLoss(), NPairLoss(l2=0, scale=4), CirclePairLoss()):
        torch.testing.assert_close(loss(longer, y), loss(x, y))
    assert not torch.isclose(ContrastiveLoss(normalized=False)(longer, y), ContrastiveLoss(normalized=False)(x, y))


@pytest.mark.parametrize("loss", [*(loss for loss, _ in LOSSES.values()), Triplet()], ids=[*LOSSES, "triplet"])
def test_autocast_leaves_them_in_float32(loss: PairLoss) -> None:
    """With their gradients, to the last bit."""
    x, y, found = torch.randn(8, 4, requires_grad=True), torch.arange(8) % 3, []
    for inside in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            value = loss(x, y)
        found.append((value, *torch.autograd.grad(value, x)))
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert loss(x.bfloat16(), y).dtype == torch.float32


@pytest.mark.parametrize("kind", [*KINDS, Triplet])
def test_it_trains(kind: type[PairLoss]) -> None:
    """Samples that start anywhere are with their class in the end."""
    torch.manual_seed(0)
    head = PairHead(kind())
    x, y = torch.randn(20, 8, requires_grad=True), torch.arange(20) % (20 // head.loss.each)
    optimizer = torch.optim.Adam([x], lr=0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = head(x, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    cosine, same = F.normalize(x.detach()) @ F.normalize(x.detach()).T, y[:, None] == y
    others = ~same
    assert cosine[same.fill_diagonal_(False)].mean() > cosine[others].mean() + 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_a_recipe_names_it(name: str) -> None:
    recipe = Recipe(LOSSES[name][0])
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.each == LOSSES[name][0].each
    assert descriptions.loss(recipe).startswith(f"{type(LOSSES[name][0]).__name__}(")
    assert repr(LOSSES[name][0]) in repr(PairHead(LOSSES[name][0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: ContrastiveLoss(0), r"ContrastiveLoss: margin=0 must lie"),
        (lambda x, y: ContrastiveLoss(each=1), r"ContrastiveLoss: each=1 must lie"),
        (lambda x, y: NPairLoss(-1), r"NPairLoss: l2=-1 must lie"),
        (lambda x, y: NPairLoss(scale=0), r"NPairLoss: scale=0 must lie"),
        (lambda x, y: CirclePairLoss(m=1.5), r"CirclePairLoss: m=1.5 must lie"),
        (lambda x, y: CirclePairLoss(gamma=math.nan), r"CirclePairLoss: gamma=nan must lie"),
        (lambda x, y: ContrastiveLoss()(x[0], y), r"embeddings must have shape"),
        (lambda x, y: NPairLoss()(x * torch.nan, y), r"NaN or infinity"),
        (lambda x, y: CirclePairLoss()(x, y[:2]), r"labels must have shape \(3,\)"),
    ],
)
def test_bad_input_is_named(call: Callable[[Tensor, Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.ones(3, 4), torch.tensor([0, 0, 1]))
