"""PAM: the streamed search against brute force, values and gradients against the literal equations, and the class ranges."""

import math
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from marginface import reference
from marginface.adjacent import PAM, narrowest_pairs, nearest_neighbours, phi
from marginface.heads import MarginHead
from marginface.margins import CosFace, NormFace

VERSIONS: list[tuple[Literal[1, 2], bool]] = [(1, False), (2, False), (2, True)]


def make_pam(version: Literal[1, 2], include_self: bool, R: Tensor, block_size: int | None = None) -> PAM:
    pam = PAM(1.0, version=version, include_self=include_self, block_size=block_size)
    pam.R = R.clone()
    return pam


def classes(P: int, dim: int, low: float = -0.9, high: float = 0.95) -> tuple[Tensor, Tensor]:
    """Class weights and ranges."""
    W = torch.randn(P, dim, dtype=torch.float64, requires_grad=True)
    return W, low + (high - low) * torch.rand(P, dtype=torch.float64)


def literal(version: int, include_self: bool, W: Tensor, R: Tensor) -> Tensor:
    return reference.pam_v1(W, R) if version == 1 else reference.pam_v2(W, R, include_self)


def matrix(W: Tensor, R: Tensor) -> Tensor:
    """φ of all pairs at once, from angles (P, P)."""
    unit, edge = torch.nn.functional.normalize(W.detach()), torch.arccos(R)
    theta = torch.arccos((unit @ unit.T).clamp(-1, 1)).fill_diagonal_(0)
    margin = theta - edge[:, None] - edge
    return torch.where(margin > 0, margin.cos(), 2 - margin.cos())


@pytest.mark.parametrize(("version", "include_self"), VERSIONS)
@pytest.mark.parametrize("P", [2, 3, 4, 9])
@pytest.mark.parametrize(("low", "high"), [(-0.9, 0.95), (0.8, 1 - 1e-9), (-0.99, -0.2)])
def test_equals_the_literal_equation(version: Literal[1, 2], include_self: bool, P: int, low: float, high: float) -> None:
    W, R = classes(P, 3, low, high)
    ours, expected = make_pam(version, include_self, R, 4).penalty(W), literal(version, include_self, W, R)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)
    (mine,), (theirs,) = torch.autograd.grad(ours, [W]), torch.autograd.grad(expected, [W])
    torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    P=st.integers(2, 90),
    dim=st.integers(1, 6),
    block_size=st.integers(1, 100),
    bounds=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    include_self=st.booleans(),
    near=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_search_finds_what_brute_force_finds(
    P: int, dim: int, block_size: int, bounds: tuple[float, float], include_self: bool, near: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    W, R = classes(P, dim, min(bounds), max(bounds))
    if near:  # classes in a narrow cone, so that most of them overlap
        W = W.detach() * 0.05 + 1
    every = matrix(W, R)
    i, j = narrowest_pairs(W, R, block_size)
    expected = every[torch.ones_like(every).tril(-1).bool()].sort(descending=True).values[:P]
    assert len({*zip(i.tolist(), j.tolist(), strict=True)}) == len(i) == len(expected)
    assert (i > j).all()
    torch.testing.assert_close(every[i, j].sort(descending=True).values, expected, rtol=0, atol=1e-7)

    i, j = nearest_neighbours(W, R, include_self, block_size)
    if not include_self:
        every.fill_diagonal_(-math.inf)
    count = 1 if P == 2 and not include_self else 2
    assert i.tolist() == [row for row in range(P) for _ in range(count)]
    assert len({*zip(i.tolist(), j.tolist(), strict=True)}) == len(i)
    torch.testing.assert_close(every[i, j].view(P, count), every.topk(count).values, rtol=0, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("block_size", [7, 64, 100, 1000])
@pytest.mark.parametrize(("version", "include_self"), VERSIONS)
def test_float32_and_any_block_size_give_the_same(version: Literal[1, 2], include_self: bool, block_size: int) -> None:
    W, R = classes(700, 16, 0.2, 0.9)
    exact = make_pam(version, include_self, R).penalty(W)
    single = W.detach().float().requires_grad_()
    ours = make_pam(version, include_self, R.float(), block_size).penalty(single)
    torch.testing.assert_close(ours.double(), exact, rtol=2e-5, atol=0)
    (mine,), (theirs,) = torch.autograd.grad(ours, [single]), torch.autograd.grad(exact, [W])
    assert (mine.double() - theirs).norm() < 2e-4 * theirs.norm()


def test_eq_10_is_not_the_expansion_of_the_margin_and_its_correction_is() -> None:
    W, R = classes(12, 3)
    unit = torch.nn.functional.normalize(W)
    for i in range(0, 12, 2):
        c, cosine = unit[i] @ unit[i + 1], torch.cos(reference.pam_theta_ij(W[i], W[i + 1], R[i], R[i + 1]))
        torch.testing.assert_close(reference.pam_eq10(c, R[i], R[i + 1]), cosine, rtol=1e-10, atol=1e-12)
        assert (reference.pam_eq10_printed(c, R[i], R[i + 1]) - cosine).abs() > 1e-3
        value = reference.pam_phi(reference.pam_theta_ij(W[i], W[i + 1], R[i], R[i + 1]))
        torch.testing.assert_close(phi(c, R[i], R[i + 1]), value, rtol=1e-10, atol=1e-12)


def test_phi_is_one_where_two_classes_touch_and_falls_as_they_part() -> None:
    edge = torch.tensor(0.4, dtype=torch.float64)
    gap = torch.linspace(-0.8, math.pi - 0.8, 500, dtype=torch.float64)
    value = phi(torch.cos(gap + 0.8), edge.cos().expand(500), edge.cos().expand(500))
    assert (value.diff() < 0).all()
    assert (value[gap < -1e-6] > 1).all()
    assert (value[gap > 1e-6] < 1).all()
    torch.testing.assert_close(phi((2 * edge).cos(), edge.cos(), edge.cos()).item(), 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("version", "include_self"), VERSIONS)
def test_gradcheck(version: Literal[1, 2], include_self: bool) -> None:
    W, R = classes(6, 3, -0.5, 0.9)
    assert torch.autograd.gradcheck(make_pam(version, include_self, R, 4).penalty, (W,))


@pytest.mark.parametrize(("version", "include_self"), VERSIONS)
def test_a_permutation_of_classes_permutes_the_gradient_and_nothing_else(version: Literal[1, 2], include_self: bool) -> None:
    W, R = classes(40, 5)
    order = torch.randperm(40)
    other = W.detach()[order].requires_grad_()
    ours, theirs = make_pam(version, include_self, R, 8).penalty(W), make_pam(version, include_self, R[order], 8).penalty(other)
    torch.testing.assert_close(ours, theirs)
    (mine,), (permuted,) = torch.autograd.grad(ours, [W]), torch.autograd.grad(theirs, [other])
    torch.testing.assert_close(mine[order], permuted)


def test_only_chosen_pairs_get_a_gradient() -> None:
    """Of four classes close together and four far from all, the four far ones are in none of the eight narrowest pairs."""
    directions = torch.eye(5, dtype=torch.float64)[[0, 0, 0, 0, 1, 2, 3, 4]]
    W = (directions + 0.05 * torch.randn(8, 5, dtype=torch.float64)).requires_grad_()
    i, j = narrowest_pairs(W, torch.full((8,), 0.9, dtype=torch.float64))
    chosen = torch.zeros(8, dtype=torch.bool).index_fill_(0, torch.cat([i, j]), True)
    (gradient,) = torch.autograd.grad(make_pam(1, False, torch.full((8,), 0.9, dtype=torch.float64)).penalty(W), [W])
    assert {(3, 0), (2, 1)} < {*zip(i.tolist(), j.tolist(), strict=True)}
    assert not chosen.all()
    assert (gradient[~chosen] == 0).all()
    assert (gradient[chosen].norm(dim=1) > 0).all()


@pytest.mark.parametrize(("version", "include_self"), VERSIONS)
def test_a_step_against_the_gradient_parts_overlapping_classes(version: Literal[1, 2], include_self: bool) -> None:
    W = torch.tensor([[1.0, 0.0], [1.0, 0.3]], requires_grad=True)
    pam = make_pam(version, include_self, torch.tensor([0.9, 0.9]))
    (gradient,) = torch.autograd.grad(pam.penalty(W), [W])
    moved = W.detach() - 0.1 * gradient
    assert torch.cosine_similarity(moved[0], moved[1], dim=0) < torch.cosine_similarity(W[0], W[1], dim=0) - 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("range_", [1.0, 0.5, 0.0, -1.0])
@pytest.mark.parametrize(("version", "include_self"), VERSIONS)
def test_finite_for_duplicated_opposite_and_zero_centres(
    version: Literal[1, 2], include_self: bool, range_: float, dtype: torch.dtype
) -> None:
    row = torch.tensor([0.3, -0.2, 0.7], dtype=dtype)
    W = torch.stack([row, row, -row, 3 * row, 0 * row, row + 1e-7]).requires_grad_()
    value = make_pam(version, include_self, torch.full((6,), range_, dtype=dtype), 4).penalty(W)
    (gradient,) = torch.autograd.grad(value, [W])
    assert -1 <= value <= 3 + 1e-6
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 100


def test_ties_choose_as_many_pairs_as_there_should_be() -> None:
    W = torch.ones(50, 4, dtype=torch.float64, requires_grad=True)
    for version, include_self in VERSIONS:
        value = make_pam(version, include_self, torch.full((50,), 0.5, dtype=torch.float64), 8).penalty(W)
        torch.testing.assert_close(value.item(), 2.5, rtol=0, atol=1e-6)  # 2 - cos(-2π/3)


def test_a_class_that_is_its_own_neighbour_leaves_one_real_one() -> None:
    W, R = classes(20, 8, 0.7, 0.9)
    i, j = nearest_neighbours(W, R, include_self=True)
    assert ((i == j).view(20, 2).sum(dim=1) == 1).all()
    real = j.view(20, 2)[(i != j).view(20, 2)]
    assert (real == matrix(W, R).fill_diagonal_(-1).argmax(dim=1)).all()


def test_update_equals_eq_8_where_no_class_occurs_twice() -> None:
    pam = PAM(1.0, shrink_rate=0.1)
    pam.bind(4, 5)
    pam.R = torch.tensor([1.0, 0.5, 0.5, 0.2, -0.3], dtype=torch.float64)
    cosines, y = torch.tensor([0.7, 0.9, 0.1, -0.8], dtype=torch.float64), torch.tensor([0, 1, 2, 4])
    expected = reference.pam_update(pam.R, cosines, y, 0.1)
    pam.update(cosines, y)
    torch.testing.assert_close(pam.R, expected)
    torch.testing.assert_close(pam.R, torch.tensor([0.7, 0.54, 0.1, 0.2, -0.8], dtype=torch.float64))


@pytest.mark.parametrize(
    ("repeats", "expected"),
    [("lowest", -0.5), ("sum", 0.5 - 0.3 - 1.0 + 0.1 * 0.4), ("mean", 0.5 + (-0.3 - 1.0 + 0.1 * 0.4) / 3)],
)
def test_readings_of_eq_8_for_a_class_that_occurs_several_times(
    repeats: Literal["lowest", "sum", "mean"], expected: float
) -> None:
    pam = PAM(1.0, shrink_rate=0.1, repeats=repeats)
    pam.R = torch.tensor([0.5, 0.9], dtype=torch.float64)
    cosines, y = torch.tensor([0.2, -0.5, 0.9], dtype=torch.float64), torch.tensor([0, 0, 0])
    if repeats == "sum":
        assert reference.pam_update(pam.R, cosines, y, 0.1)[0].item() == pytest.approx(expected)
    pam.update(cosines, y)
    assert pam.R.tolist() == pytest.approx([expected, 0.9])


def test_eq_8_as_printed_leaves_the_cosines_and_is_cut_off() -> None:
    cosines, y, R = torch.full((3,), -0.5), torch.zeros(3, dtype=torch.int64), torch.tensor([0.9, 0.9])
    assert reference.pam_update(R, cosines, y, 0.01)[0] < -1
    pam = make_pam(1, False, R)
    pam.repeats = "sum"
    pam.update(cosines, y)
    assert pam.R.tolist() == pytest.approx([-1.0, 0.9])


@settings(deadline=None, max_examples=60)
@given(
    cosines=st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    start=st.floats(-1, 1),
    beta=st.floats(0, 1),
    repeats=st.sampled_from(["lowest", "sum", "mean"]),
)
def test_ranges_stay_cosines_and_the_order_of_the_batch_does_not_matter(
    cosines: list[float], start: float, beta: float, repeats: Literal["lowest", "sum", "mean"]
) -> None:
    after = []
    for batch in (cosines, cosines[::-1]):
        pam = PAM(1.0, shrink_rate=beta, repeats=repeats)
        pam.R = torch.tensor([start, 0.4], dtype=torch.float64)
        pam.update(torch.tensor(batch, dtype=torch.float64), torch.zeros(len(batch), dtype=torch.int64))
        after.append(pam.R)
    assert (after[0].abs() <= 1).all()
    torch.testing.assert_close(after[0], after[1])
    if repeats == "lowest":
        assert after[0][0] <= max(start, min(cosines)) + 1e-12


def test_the_head_trains_with_it_and_counts_steps() -> None:
    """Loss = base + λ L_P from start_step on; R follows the batch in training only; R has no gradient."""
    pam = PAM(0.3, version=2, start_step=1)
    head, base = MarginHead(4, 5, CosFace(), [pam]).double(), MarginHead(4, 5, CosFace()).double()
    base.weight.data = head.weight.data
    x, y = torch.randn(7, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 3, 4, 0, 0])
    torch.testing.assert_close(head(x, y), base(x, y), rtol=0, atol=0)
    own = torch.cosine_similarity(x, head.weight[y])
    expected = torch.stack([own[y == j].min() for j in range(5)])
    torch.testing.assert_close(pam.R, expected)
    torch.optim.SGD(head.parameters(), lr=0.0).step()
    loss = head(x, y)
    assert head.step == 1
    torch.testing.assert_close(pam.R, expected)  # the same batch again: the lowest cosines are the ranges already
    torch.testing.assert_close(loss, base(x, y) + 0.3 * reference.pam_v2(head.weight, expected))
    mine = torch.autograd.grad(loss, [x, head.weight])
    theirs = torch.autograd.grad(base(x, y) + 0.3 * reference.pam_v2(head.weight, expected.detach()), [x, base.weight])
    torch.testing.assert_close(mine[0], theirs[0])
    assert not pam.R.requires_grad

    before = pam.R.clone()
    head.eval()
    torch.testing.assert_close(head(-x, y) - base(-x, y), 0.3 * pam.penalty(head.weight))
    head.logits(-x, y)
    with torch.no_grad():
        head.train()(-x, y)
    assert torch.equal(pam.R, before)


def test_state_goes_into_the_checkpoint_and_comes_back() -> None:
    x, y = torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 4, 0, 0])
    first, second = (MarginHead(4, 5, CosFace(), [PAM(0.3, start_step=2)]) for _ in range(2))
    optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    for _ in range(3):
        first(x, y).backward()
        optimizer.step()
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second.eval()(x, y), first.eval()(x, y), rtol=0, atol=0)
    pam = second.regularizers[0]
    assert isinstance(pam, PAM)
    assert second.step == 3
    assert (pam.R < 1).all()
    assert pam.R.data_ptr() != first.state_dict()["stateful.0.R"].data_ptr()
    assert list(second.double().state_dict()) == ["weight", "_extra_state", "stateful.0.R"]
    assert pam.R.dtype == torch.float64


def test_alone_it_learns_its_classes_from_the_weights() -> None:
    W = torch.randn(6, 3, dtype=torch.float64)
    pam = PAM(0.5)
    value = pam.penalty(W)
    assert pam.R.tolist() == [1.0] * 6
    assert pam.R.dtype == torch.float64
    best = torch.cosine_similarity(W[:, None], W, dim=2)[torch.ones(6, 6).tril(-1).bool()].topk(6).values
    torch.testing.assert_close(value, best.mean())  # with ranges of 1, φ is the cosine between the centres


def test_autocast_leaves_the_penalty_in_float32() -> None:
    W = torch.randn(30, 8)
    pam = PAM(0.5)
    with torch.autocast("cpu", torch.bfloat16):
        value = pam.penalty(W)
    torch.testing.assert_close(value, pam.penalty(W), rtol=0, atol=0)
    assert pam.penalty(W.bfloat16()).dtype == torch.float32


def _update(cosines: Tensor, labels: Tensor) -> None:
    pam = PAM(1.0)
    pam.bind(4, 3)
    pam.update(cosines, labels)


def _other_size() -> None:
    pam = PAM(1.0)
    pam.bind(4, 3)
    pam.penalty(torch.randn(5, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PAM(-1), r"PAM: weight=-1 must lie"),
        (lambda: PAM(math.nan), r"PAM: weight=nan must lie"),
        (lambda: PAM(1, version=3), r"PAM: version=3"),  # type: ignore[arg-type]
        (lambda: PAM(1, shrink_rate=1.5), r"PAM: shrink_rate=1.5"),
        (lambda: PAM(1, start_step=-1), r"PAM: start_step=-1"),
        (lambda: PAM(1, include_self=True), r"PAM: include_self=True"),
        (lambda: PAM(1, repeats="last"), r"PAM: repeats='last'"),  # type: ignore[arg-type]
        (lambda: PAM(1, block_size=0), r"PAM: block_size=0"),
        (lambda: PAM(1).bind(4, 1), r"num_classes=1"),
        (_other_size, r"num_classes=5.*ranges of 3"),
        (lambda: PAM(1).penalty(torch.randn(4)), r"class_weights must be.*\(4,\)"),
        (lambda: PAM(1).penalty(torch.randn(1, 4)), r"class_weights must be.*\(1, 4\)"),
        (lambda: PAM(1).penalty(torch.ones(3, 4, dtype=torch.int64)), r"class_weights must be.*torch.int64"),
        (lambda: PAM(1).penalty(torch.full((3, 4), math.nan)), r"class_weights hold NaN"),
        (lambda: PAM(1).penalty(torch.full((3, 4), math.inf)), r"class_weights hold NaN, infinity"),
        (lambda: PAM(1).update(torch.zeros(2), torch.tensor([0, 1])), r"does not know its classes"),
        (lambda: _update(torch.zeros(2, 1), torch.tensor([0, 1])), r"cosines must have shape \(N,\)"),
        (lambda: _update(torch.tensor([0.1, math.nan]), torch.tensor([0, 1])), r"cosines must .*finite"),
        (lambda: _update(torch.zeros(2), torch.tensor([0])), r"labels must be int64 \(2,\)"),
        (lambda: _update(torch.zeros(2), torch.tensor([0.0, 1.0])), r"not torch.float32"),
        (lambda: _update(torch.zeros(2), torch.tensor([0, 3])), r"labels must lie in \[0, 3\), not in \[0, 3\]"),
        (lambda: _update(torch.zeros(2), torch.tensor([-1, 1])), r"not in \[-1, 1\]"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("version", [1, 2])
def test_gradients_are_the_same_for_a_backward_pass_within_autocast(version: Literal[1, 2]) -> None:
    gradients = []
    for inside in (False, True):
        torch.manual_seed(0)
        head = MarginHead(32, 64, NormFace(1e-6), [PAM(1.0, version)], chunk_size=16)
        loss = head(torch.randn(16, 32), torch.arange(16))
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            loss.backward()
        gradients.append(head.weight.grad)
    torch.testing.assert_close(*gradients)
