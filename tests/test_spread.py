"""Marginal loss, range loss and UniformFace against the literal equations, alone and in a head; over ranks: test_sharded."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from marginface import reference, spread
from marginface.book import descriptions
from marginface.heads import MarginHead
from marginface.margins import ArcFace, NormFace
from marginface.regularizers import IAM, Stateless, Terms
from marginface.sharded import ShardedMarginHead
from marginface.spread import MarginalLoss, RangeLoss, UniformFace, potential
from marginface.training.recipes import Recipe
from marginface.variants import SubCenterArcFace

Equation = Callable[[Tensor, Tensor, Tensor], Tensor]  # x, W, y


def marginal(x: Tensor, y: Tensor, tau: float, xi: float) -> Tensor:
    return reference.marginal(x, y, tau, xi) if len(x) > 1 else 0 * x.sum()


def both_ranges(x: Tensor, y: Tensor, k: int) -> Tensor:
    inter = reference.range_inter(x, y, 3.0) if len(y.unique()) > 1 else 0
    return 0.7 * reference.range_intra(x, y, k) + 0.2 * inter


TERMS: dict[str, tuple[Stateless, Equation]] = {
    "marginal": (MarginalLoss(0.7), lambda x, W, y: 0.7 * marginal(x, y, 1.2, 0.3)),
    "marginal with other settings": (MarginalLoss(1, 0.5, 1), lambda x, W, y: marginal(x, y, 0.5, 1)),
    "range": (RangeLoss(0.7, 0.2, 3.0), lambda x, W, y: both_ranges(x, y, 2)),
    "range of five": (RangeLoss(0.7, 0.2, 3.0, k=5), lambda x, W, y: both_ranges(x, y, 5)),
    "uniform": (UniformFace(0.7), lambda x, W, y: 0.7 * reference.uniform(W)),
    "uniform of the batch": (UniformFace(0.7, "batch"), lambda x, W, y: 0.7 * reference.uniform(W, y.unique().tolist())),
}


def value(term: Stateless, x: Tensor, W: Tensor, y: Tensor) -> Tensor:
    """The mean of a term, of which a head would know so much."""
    one = torch.ones(len(x))
    return term(Terms(one, one, one, lambda: one, len(W), x, y, one, W)).mean()


def test_every_term_is_tested() -> None:
    found = {kind for kind in vars(spread).values() if isinstance(kind, type) and issubclass(kind, Stateless)}
    assert found - {Stateless} == {type(term) for term, _ in TERMS.values()}


@pytest.mark.parametrize("name", TERMS)
@settings(deadline=None, max_examples=20)
@given(N=st.integers(1, 9), dim=st.integers(2, 5), C=st.integers(2, 5), seed=st.integers(0, 1000))
def test_equals_the_literal_equation(name: str, N: int, dim: int, C: int, seed: int) -> None:
    torch.manual_seed(seed)
    x, W, y = torch.randn(N, dim).double(), torch.randn(C, dim).double(), torch.randint(C, (N,))
    of = (W if name.startswith("uniform") else x).requires_grad_()
    term, equation = TERMS[name]
    ours, expected = value(term, x, W, y), equation(x, W, y)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    (mine,), (theirs,) = torch.autograd.grad(ours, [of]), torch.autograd.grad(expected, [of])
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", TERMS)
def test_float32_is_as_exact_as_it_can_be(name: str) -> None:
    x, W, y = torch.randn(24, 8), torch.randn(6, 8), torch.arange(24) % 6
    term, equation = TERMS[name]
    expected = equation(x.double(), W.double(), y)
    torch.testing.assert_close(value(term, x, W, y).double(), expected, rtol=1e-5, atol=1e-5)


def make_head(*terms: Any, reduction: Any = "mean") -> MarginHead:
    torch.manual_seed(1)
    return MarginHead(4, 5, NormFace(), terms, reduction=reduction)


@pytest.mark.parametrize("name", TERMS)
def test_a_head_adds_it_to_the_base_loss(name: str) -> None:
    term, equation = TERMS[name]
    x, y = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 2, 4, 2, 0])
    head, base = make_head(term, IAM(0.2)).double(), make_head(IAM(0.2)).double()
    assert torch.equal(head.weight, base.weight)
    expected = base(x, y) + equation(x, head.weight, y)
    torch.testing.assert_close(head(x, y), expected)
    each = make_head(term, IAM(0.2), reduction="none").double()(x, y)
    assert each.shape == (7,)
    torch.testing.assert_close(each.mean(), expected)


@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
@pytest.mark.parametrize("name", TERMS)
def test_autocast_leaves_them_in_float32(name: str, kind: type[MarginHead]) -> None:
    """With their gradients, to the last bit."""
    head, x, found = kind(4, 5, NormFace(), [TERMS[name][0]]), torch.randn(7, 4, requires_grad=True), []
    for inside in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            loss = head(x, torch.tensor([0, 1, 2, 2, 4, 2, 0]))
        found.append((loss, *torch.autograd.grad(loss, [x, head.weight])))
    assert found[1][0].dtype == torch.float32
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_for_duplicates_opposites_and_zeros(name: str, dtype: torch.dtype) -> None:
    row = torch.tensor([0.3, -0.2, 0.7, 0.1], dtype=dtype)
    rows = torch.stack([row, row, row, -row, 0 * row, 2 * row, row + 1e-6, 1e-25 * row])
    x, W = rows.clone().requires_grad_(), rows[:5].clone().requires_grad_()
    found = [
        value(TERMS[name][0], x, W, torch.tensor(labels)) for labels in ([0, 0, 1, 1, 0, 0, 0, 0], [2] * 8, [2, 2, *range(6)])
    ]
    gradients = torch.autograd.grad(sum(found, torch.zeros((), dtype=dtype)), [x, W], allow_unused=True)
    assert all(torch.isfinite(each).all() for each in (*found, *gradients) if each is not None)
    assert all(0 <= float(each.detach()) < 10 for each in found)


@pytest.mark.parametrize("name", [name for name in TERMS if not name.startswith("uniform")])
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
def test_batches_without_some_kind_of_pair(name: str, labels: list[int]) -> None:
    x, W = torch.randn(len(labels), 4, requires_grad=True), torch.randn(3, 4)
    found = value(TERMS[name][0], x, W, torch.tensor(labels))
    found.backward()
    assert torch.isfinite(found)
    assert x.grad is not None
    if len(labels) == 1:
        assert found == 0


def test_two_samples_at_one_place_make_the_harmonic_mean_zero() -> None:
    """Of D = 0 and D = 4, 2 / (1/0 + 1/4). The pair that is apart then has no gradient, and the other one no direction."""
    x = torch.tensor([[0.0], [0.0], [2.0]], requires_grad=True)
    found = value(RangeLoss(1, 0, 0, k=3), x, torch.ones(2, 1), torch.tensor([0, 0, 0]))
    assert found.item() == pytest.approx(0, abs=1e-30)
    assert (torch.autograd.grad(found, x)[0].abs() < 1e-30).all()
    assert value(RangeLoss(1, 0, 0, k=2), x, torch.ones(2, 1), torch.tensor([0, 0, 0])) == 4  # the two largest alone


@pytest.mark.parametrize("name", [name for name in TERMS if name != "uniform of the batch"])  # which has constants
def test_gradcheck(name: str) -> None:
    x, y = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    W = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, W: value(TERMS[name][0], x, W, y), (x, W))


@pytest.mark.parametrize("block_size", [1, 2, 3, 7, None])
def test_blocks_of_classes_are_the_whole(block_size: int | None) -> None:
    W = (torch.randn(7, 4, dtype=torch.float64) * torch.arange(1, 8)[:, None]).requires_grad_()
    for moving in (None, torch.tensor([5, 0, 3])):
        ours = potential(W, moving=moving, block_size=block_size)
        expected = reference.uniform(W, None if moving is None else moving.tolist())
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(torch.autograd.grad(ours, W), torch.autograd.grad(expected, W))


class Largest(TorchDispatchMode):
    """The most numbers in any tensor that is made."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            self.numbers = max(self.numbers, each.numel() if isinstance(each, Tensor) else 0)
        return made


def test_no_matrix_of_all_classes_is_held() -> None:
    W = torch.randn(200, 4, requires_grad=True)
    with Largest() as largest:
        potential(W, block_size=20).backward()
    assert largest.numbers == 200 * 4


def test_one_class_repels_none() -> None:
    W = torch.randn(1, 4, requires_grad=True)
    potential(W).backward()
    assert potential(W) == 0
    assert W.grad is not None
    assert (W.grad == 0).all()


@pytest.mark.parametrize("moving", [None, torch.tensor([0])])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_classes_that_nearly_coincide_repel_as_they_should(dtype: torch.dtype, moving: Tensor | None) -> None:
    """However near, and beside others that are far; those at one place have no direction and leave the others theirs."""
    for apart in (1e-1, 1e-2, 5e-4, 1e-5, 1e-6):
        W = torch.tensor([[1.0, 0.0, 0.0], [math.cos(apart), math.sin(apart), 0], [0.6, 0, 0.8], [-0.6, 0, 0.8]], dtype=dtype)
        true = W.double().requires_grad_()
        (expected,) = torch.autograd.grad(reference.uniform(true, None if moving is None else moving.tolist()), true)
        W.requires_grad_()
        (found,) = torch.autograd.grad(potential(W, moving=moving), W)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
        twice = W.detach()[[0, 1, 2, 3, 0]].requires_grad_()
        (found,) = torch.autograd.grad(potential(twice, moving=moving), twice)
        of_mean = 4 / 3 if moving is not None else 20 / 12  # so many more pairs, of which the mean is
        torch.testing.assert_close(of_mean * found.double()[0], expected[0], rtol=1e-5, atol=1e-6)
        assert torch.isfinite(found).all()


def test_several_weights_a_class_are_refused() -> None:
    """By the name of what is wrong, as PAM does."""
    x, y = torch.randn(4, 8), torch.arange(4)
    for head in (MarginHead, ShardedMarginHead):
        with pytest.raises(ValueError, match=r"class_weights must be floating point \(C, d\), one a class, not .*\(6, 3, 8\)"):
            head(8, 6, SubCenterArcFace(), [UniformFace(0.1)])(x, y)


def test_four_classes_become_a_tetrahedron() -> None:
    """Where the potential of four charges is least; its corners are √(8/3) from each other."""
    torch.manual_seed(0)
    W = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([W], lr=2)
    for _ in range(200):
        optimizer.zero_grad()
        loss = potential(W)
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(1 / (1 + math.sqrt(8 / 3)), abs=1e-4)


@pytest.mark.parametrize("term", [MarginalLoss(1), RangeLoss(0.1, 1, 4)], ids=lambda term: type(term).__name__)
def test_a_term_alone_brings_classes_together_and_apart(term: Stateless) -> None:
    torch.manual_seed(0)
    x, y, W = torch.randn(20, 8, requires_grad=True), torch.arange(20) % 5, torch.ones(5, 8)
    optimizer = torch.optim.Adam([x], lr=0.05)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = value(term, x, W, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    cosine, same = F.normalize(x.detach()) @ F.normalize(x.detach()).T, y[:, None] == y
    assert cosine[same.clone().fill_diagonal_(False)].mean() > cosine[~same].mean() + 0.5


@pytest.mark.parametrize("name", TERMS)
def test_a_recipe_names_it(name: str) -> None:
    term, _ = TERMS[name]
    recipe = Recipe(ArcFace(), (term,))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.each == (1 if name.startswith("uniform") else 4)
    assert f"+ {type(term).__name__}(" in descriptions.loss(recipe)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MarginalLoss(-0.1), r"MarginalLoss: weight=-0.1 must lie"),
        (lambda: MarginalLoss(1, threshold=5), r"MarginalLoss: threshold=5 must lie"),
        (lambda: MarginalLoss(1, margin=math.inf), r"MarginalLoss: margin=inf must lie"),
        (lambda: RangeLoss(1, 1, -1), r"RangeLoss: margin=-1 must lie"),
        (lambda: RangeLoss(1, 1, 1, k=0), r"RangeLoss: k=0 must lie"),
        (lambda: RangeLoss(1, 1, 1, each=0), r"RangeLoss: each=0 must lie"),
        (lambda: UniformFace(math.nan), r"UniformFace: weight=nan must lie"),
        (lambda: UniformFace(1, "some"), r"UniformFace: pairs='some' must be one of all, batch"),  # type: ignore[arg-type]
        (lambda: potential(torch.full((2, 2), torch.nan)), r"class_weights hold NaN"),
        (lambda: Recipe(ArcFace(), (MarginalLoss(1), RangeLoss(1, 1, 1, each=8))), r"each=4 and 8 images of a person"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
