"""MarginHead against the literal equations, the public implementations, and its own properties."""

import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from marginface import reference
from marginface.heads import MarginHead
from marginface.margins import (
    Annealing,
    ArcFace,
    CombinedMargin,
    CosFace,
    InterFace,
    L2Softmax,
    LSoftmax,
    Margin,
    NormFace,
    RedefinedArcFace,
    Softmax,
    SphereFace,
    WeightNormSoftmax,
)
from marginface.regularizers import IAM

Literal = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # x, W, y, b
BIAS = torch.tensor([0.3, -0.2, 0.1, 0.0, -0.4], dtype=torch.float64)

LOSSES: dict[str, tuple[Margin, Literal]] = {
    "Softmax": (Softmax(), reference.softmax),
    "Softmax without bias": (Softmax(bias=False), lambda x, W, y, b: reference.softmax(x, W, y, 0 * b)),
    "WeightNormSoftmax": (WeightNormSoftmax(), lambda x, W, y, b: reference.weight_norm_softmax(x, W, y)),
    "NormFace": (NormFace(30), lambda x, W, y, b: reference.normface(x, W, y, 30)),
    "SphereFace m=4": (SphereFace(4), lambda x, W, y, b: reference.sphereface(x, W, y, 4, 0)),
    "SphereFace m=4 λ=5": (SphereFace(4, 5), lambda x, W, y, b: reference.sphereface(x, W, y, 4, 5)),
    "SphereFace m=1.5": (SphereFace(1.5), lambda x, W, y, b: reference.sphereface(x, W, y, 1.5, 0)),
    "F-Norm SphereFace": (SphereFace(2, 0, 8), lambda x, W, y, b: reference.sphereface(x, W, y, 2, 0, 8)),
    "CosFace": (CosFace(64, 0.35), lambda x, W, y, b: reference.cosface(x, W, y, 64, 0.35)),
    "ArcFace": (ArcFace(64, 0.5), lambda x, W, y, b: reference.arcface(x, W, y, 64, 0.5)),
    "L2Softmax": (L2Softmax(16), lambda x, W, y, b: reference.l2_softmax(x, W, y, 16)),
    "LSoftmax": (LSoftmax(4), lambda x, W, y, b: reference.l_softmax(x, W, y, 4)),
    "CombinedMargin": (
        CombinedMargin(64, 1.1, 0.3, 0.2),
        lambda x, W, y, b: reference.combined_margin(x, W, y, 64, 1.1, 0.3, 0.2),
    ),
    "RedefinedArcFace": (RedefinedArcFace(64, 0.3, 0.2), lambda x, W, y, b: reference.redefined_arcface(x, W, y, 64, 0.3, 0.2)),
    "InterFace cid&ct": (
        InterFace.cid_ct(),
        lambda x, W, y, b: reference.interface(x, W, y, 64, 0.5, 0.1, 0.2, 0, math.pi / 2, detach=True),
    ),
    "InterFace did&ct": (
        InterFace.did_ct(sign="released"),
        lambda x, W, y, b: reference.interface(x, W, y, 64, 0.5, 0.1, 0.3, 0, None, sign=-1, detach=True),
    ),
    "InterFace did&dt": (
        InterFace.did_dt(detach=False),
        lambda x, W, y, b: reference.interface(x, W, y, 64, 0.5, 0.1, 0, math.radians(10), None),
    ),
    "InterFace cid&ct differentiated": (
        InterFace.cid_ct(scale=16.0, detach=False),
        lambda x, W, y, b: reference.interface(x, W, y, 16, 0.5, 0.1, 0.2, 0, math.pi / 2),
    ),
}


def make_head(
    margin: Margin, classes: int = 5, dim: int = 4, regularizers: tuple[IAM, ...] = (), chunk_size: int | None = 2
) -> MarginHead:
    head = MarginHead(dim, classes, margin, regularizers, chunk_size, keep_bytes=0).double()
    if head.bias is not None:
        head.bias.data = BIAS[:classes].clone()
    return head


def batch(samples: int = 7, dim: int = 4, classes: int = 5) -> tuple[Tensor, Tensor]:
    x = torch.randn(samples, dim, dtype=torch.float64, requires_grad=True)
    return x, torch.randint(classes, (samples,))


def assert_same(head: MarginHead, literal: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Value and gradients of the head equal those of the literal equation."""
    x, y = batch(classes=len(head.weight))
    loss = head(x, y)
    expected = literal(x, head.weight, y, BIAS[: len(head.weight)])
    ours = torch.autograd.grad(loss, [x, head.weight])
    theirs = torch.autograd.grad(expected, [x, head.weight])
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, None])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_equals_the_literal_equation(name: str, classes: int, chunk_size: int | None) -> None:
    margin, literal = LOSSES[name]
    assert_same(make_head(margin, classes, chunk_size=chunk_size), literal)


@pytest.mark.parametrize("base", ["NormFace", "CosFace", "ArcFace", "RedefinedArcFace", "InterFace did&dt"])
def test_iam_equals_eq_7_and_leaves_the_base_loss_alone(base: str) -> None:
    margin, literal = LOSSES[base]
    s = margin.scale
    assert s is not None
    head = make_head(margin, regularizers=(IAM(0.2),))
    assert_same(head, lambda x, W, y, b: literal(x, W, y, b) + 0.2 * reference.iam(x, W, y, s))


def test_iam_on_logits_has_the_closed_form_of_eq_12() -> None:
    head, beta = make_head(CosFace(30, 0.1), regularizers=(IAM(0.7, on="logits"),)), 0.7
    x, y = batch()
    p = head.logits(x, y).softmax(dim=1)[torch.arange(7), y]
    torch.testing.assert_close(head(x, y), (-p.log() + beta * ((1 - p) / 4).log()).mean(), rtol=1e-8, atol=1e-10)


def test_bias_gets_the_literal_gradient() -> None:
    head = make_head(Softmax())
    assert head.bias is not None
    x, y = batch()
    b = BIAS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(reference.softmax(x, head.weight, y, b), b)
    (ours,) = torch.autograd.grad(head(x, y), head.bias)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, (margin, _) in LOSSES.items() if not getattr(margin, "detach", False)])
def test_gradcheck(name: str) -> None:
    head = make_head(LOSSES[name][0], regularizers=(IAM(0.3),))
    x, y = batch(3)
    assert torch.autograd.gradcheck(lambda x, W: torch.func.functional_call(head, {"weight": W}, (x, y)), (x, head.weight))


@pytest.mark.parametrize("name", LOSSES)
def test_logits_are_what_the_loss_is_made_of(name: str) -> None:
    head = make_head(LOSSES[name][0])
    x, y = batch()
    torch.testing.assert_close(torch.nn.functional.cross_entropy(head.logits(x, y), y), head(x, y))
    others = torch.nn.functional.one_hot(y, 5) == 0
    if not head.margin.changes_others:
        torch.testing.assert_close(head.logits(x, y)[others], head.logits(x)[others])


GOLDEN: dict[str, Margin] = {
    "cosface_s64_m0.4.insightface": CosFace(64, 0.4),
    "cosface_s64_m0.35.pytorch_metric_learning": CosFace(64, 0.35),
    "arcface_s64_m0.5.pytorch_metric_learning": ArcFace(64, 0.5, fallback="monotonic"),
    "sphereface_m4.pytorch_metric_learning": SphereFace(4),
    "normface_s30.pytorch_metric_learning": NormFace(30),
    "lsoftmax_m4.pytorch_metric_learning": LSoftmax(4),
    "interface_cid_ct.official": InterFace.cid_ct(sign="released"),
    "interface_did_ct.official": InterFace.did_ct(sign="released"),
    "interface_did_dt.official": InterFace.did_dt(sign="released"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_equals_public_implementations(name: str, shared: Path) -> None:
    """Losses and gradients that other people's code computed, kept beside the data."""
    files = sorted((shared.parent / "golden").glob("losses_*.npz"))
    if not files:
        pytest.skip("no golden values beside the data")
    for file in files:
        golden = np.load(file)
        if f"{name}.loss" not in golden:
            continue
        weight = torch.from_numpy(golden["weight"])
        head = MarginHead(weight.shape[1], len(weight), GOLDEN[name]).double()
        head.weight.data = weight
        x = torch.from_numpy(golden["embeddings"]).requires_grad_()
        loss = head(x, torch.from_numpy(golden["labels"]))
        grad_x, grad_w = torch.autograd.grad(loss, [x, head.weight])
        np.testing.assert_allclose(loss.item(), golden[f"{name}.loss"], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(grad_x.numpy(), golden[f"{name}.grad_embeddings"], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(grad_w.numpy(), golden[f"{name}.grad_weight"], rtol=1e-9, atol=1e-9)


IDENTITIES: dict[str, tuple[Margin, Margin]] = {
    "RArc(m, 0) = ArcFace(m)": (RedefinedArcFace(64, 0.4, 0), ArcFace(64, 0.4)),
    "CombinedMargin(1, m, 0) = ArcFace(m)": (CombinedMargin(64, 1, 0.4, 0), ArcFace(64, 0.4)),
    "CombinedMargin(1, 0, m) = CosFace(m)": (CombinedMargin(64, 1, 0, 0.3), CosFace(64, 0.3)),
    "InterFace(α=0) = ArcFace": (InterFace(64, 0.5, alpha=0), ArcFace(64, 0.5)),
    "ArcFace(0) = NormFace": (ArcFace(30, 0), NormFace(30)),
    "SphereFace(1) = WeightNormSoftmax": (SphereFace(1), WeightNormSoftmax()),
    "LSoftmax(1) = Softmax without bias": (LSoftmax(1), Softmax(bias=False)),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities(name: str) -> None:
    one, other = (make_head(margin) for margin in IDENTITIES[name])
    other.weight.data = one.weight.data
    x, y = batch()
    for mine, theirs in zip(
        torch.autograd.grad(one(x, y), [x, one.weight]), torch.autograd.grad(other(x, y), [x, other.weight]), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(one(x, y), other(x, y), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(LOSSES)),
    samples=st.integers(1, 6),
    classes=st.integers(2, 12),
    chunk_size=st.integers(1, 14),
    keep_bytes=st.integers(0, 600),
    seed=st.integers(0, 1000),
)
def test_any_chunk_size_gives_the_same(
    name: str, samples: int, classes: int, chunk_size: int, keep_bytes: int, seed: int
) -> None:
    torch.manual_seed(seed)
    margin = LOSSES[name][0]
    whole = MarginHead(6, classes, margin, [IAM(0.2)], None)
    parts = MarginHead(6, classes, margin, [IAM(0.2)], chunk_size, keep_bytes)
    parts.load_state_dict(whole.state_dict())
    x, y = torch.randn(samples, 6, requires_grad=True), torch.randint(classes, (samples,))
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-5)):
        whole, parts, x = whole.to(dtype), parts.to(dtype), x.detach().to(dtype).requires_grad_()
        results = [(head(x, y), *torch.autograd.grad(head(x, y), [x, head.weight])) for head in (whole, parts)]
        for mine, theirs in zip(*results, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * max(1.0, theirs.abs().max().item()))


def test_a_schedule_goes_by_the_steps_of_the_optimizer() -> None:
    """Not by batches, of which two make a step here, nor by what torch.utils.checkpoint computes again."""
    head = make_head(SphereFace(4, Annealing(1000, 5, 0.12)))
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
    x, y = batch()
    for step in range(3):
        for again in (False, True):
            expected = reference.sphereface(x, head.weight, y, 4, 1000 / (1 + 0.12 * step))
            loss = checkpoint(head, x, y, use_reentrant=False) if again else head(x, y)
            torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
            ours, theirs = torch.autograd.grad(loss, head.weight), torch.autograd.grad(expected, head.weight)
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
            head.weight.grad = ours[0]
        assert head.step == step
        optimizer.step()
    assert deepcopy(head).step == head.step == 3
    with torch.no_grad():
        head(x, y)
    head.eval()
    head(x, y)
    assert head.step == 3
    other = make_head(head.margin)
    other.load_state_dict(head.state_dict())
    assert other.step == 3
    torch.testing.assert_close(other(x, y), head(x, y), rtol=0, atol=0)
    assert Annealing()(10**6) == 5


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}], ids=str)
def test_every_kind_of_optimizer_is_seen(options: dict[str, bool]) -> None:
    head = make_head(SphereFace(4, Annealing()))
    optimizer = torch.optim.Adam(head.parameters(), **options)  # type: ignore[arg-type]
    for _ in range(2):
        head(*batch()).backward()
        optimizer.step()
    assert head.step == 2


def test_one_class_has_nothing_to_learn() -> None:
    for margin in (Softmax(), ArcFace(), InterFace(), SphereFace()):
        head = MarginHead(4, 1, margin)
        x = torch.randn(2, 4, requires_grad=True)
        loss = head(x, torch.tensor([0, 0]))
        assert loss == 0
        assert all((g == 0).all() for g in torch.autograd.grad(loss, [x, head.weight]))


@pytest.mark.parametrize("name", LOSSES)
def test_finite_for_zero_embeddings_and_duplicated_or_zero_class_weights(name: str) -> None:
    head = make_head(LOSSES[name][0], regularizers=(IAM(0.2),)).float()
    head.weight.data[1] = head.weight.data[0]
    head.weight.data[2] = 0
    x = torch.cat([torch.zeros(2, 4), torch.randn(3, 4)]).requires_grad_()
    loss = head(x, torch.arange(5))
    assert all(torch.isfinite(tensor).all() for tensor in (loss, *torch.autograd.grad(loss, [x, head.weight])))


@settings(deadline=None, max_examples=60)
@given(
    samples=st.integers(1, 6),
    dim=st.integers(1, 8),
    classes=st.integers(2, 9),
    scale=st.floats(1, 256),
    m=st.floats(0, 1.5),
    seed=st.integers(0, 1000),
)
def test_finite_and_positive_for_any_shape_scale_and_margin(
    samples: int, dim: int, classes: int, scale: float, m: float, seed: int
) -> None:
    torch.manual_seed(seed)
    x, y = torch.randn(samples, dim, requires_grad=True), torch.randint(classes, (samples,))
    for margin in (NormFace(scale), CosFace(scale, m), ArcFace(scale, m), SphereFace(1 + m), SphereFace(2, m, scale)):
        head = MarginHead(dim, classes, margin)
        loss = head(x, y)
        gradients = torch.autograd.grad(loss, [x, head.weight])
        assert loss >= 0
        assert all(torch.isfinite(tensor).all() for tensor in (loss, *gradients))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", LOSSES)
def test_finite_where_the_cosine_is_one(name: str, sign: int) -> None:
    head = make_head(LOSSES[name][0], regularizers=(IAM(0.2),)).float()
    x = (sign * head.weight.detach()).requires_grad_()
    loss = head(x, torch.arange(5))
    assert all(torch.isfinite(tensor).all() for tensor in (loss, *torch.autograd.grad(loss, [x, head.weight])))


def test_a_permutation_of_classes_permutes_the_gradient_and_nothing_else() -> None:
    head = make_head(ArcFace(), regularizers=(IAM(0.2),))
    x, y = batch()
    order = torch.randperm(5)
    other = make_head(ArcFace(), regularizers=(IAM(0.2),))
    other.weight.data = head.weight.data[order]
    renamed = order.argsort()[y]
    (mine,), (theirs,) = torch.autograd.grad(head(x, y), [head.weight]), torch.autograd.grad(other(x, renamed), [other.weight])
    torch.testing.assert_close(head(x, y), other(x, renamed))
    torch.testing.assert_close(mine[order], theirs)


def test_a_large_margin_between_logits_keeps_its_small_loss() -> None:
    """log(1 - p) and -log p lose all digits in float32 where p is near 0 or 1; log σ does not."""
    head = MarginHead(2, 2, NormFace(64), (IAM(1.0),))
    head.weight.data = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    base = MarginHead(2, 2, NormFace(64))
    base.weight.data = head.weight.data
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    assert base(x, y).item() == pytest.approx(math.exp(-128), rel=1e-5)
    assert head(x, y).item() == pytest.approx(-128)


def test_autocast_leaves_the_head_in_float32() -> None:
    head = MarginHead(4, 5, ArcFace())
    x, y = torch.randn(3, 4), torch.tensor([0, 1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(x, y)
    assert loss.dtype == torch.float32
    assert head.weight.dtype == torch.float32
    torch.testing.assert_close(loss, head(x, y), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        (torch.randn(3, 5), torch.tensor([0, 1, 2]), r"embeddings must have shape \(N, 4\).*\(3, 5\)"),
        (torch.randn(4), torch.tensor([0]), r"embeddings must have shape"),
        (torch.randn(0, 4), torch.zeros(0, dtype=torch.int64), r"N at least 1"),
        (torch.ones(3, 4, dtype=torch.int64), torch.tensor([0, 1, 2]), r"floating point, not torch.int64"),
        (torch.full((3, 4), torch.nan), torch.tensor([0, 1, 2]), r"NaN or infinity"),
        (torch.full((3, 4), torch.inf), torch.tensor([0, 1, 2]), r"NaN or infinity"),
        (torch.randn(3, 4), torch.tensor([0, 1, 2]).to("meta"), r"labels are on meta, embeddings on cpu"),
        (torch.randn(3, 4).to("meta"), torch.tensor([0, 1, 2]), r"embeddings are on meta, the class weights on cpu"),
        (torch.randn(3, 4), torch.tensor([0, 1]), r"labels must have shape \(3,\), not \(2,\)"),
        (torch.randn(3, 4), torch.tensor([0.0, 1.0, 2.0]), r"labels must be int64, not torch.float32"),
        (torch.randn(3, 4), torch.tensor([0, 1, 5]), r"labels must lie in \[0, 5\), not in \[0, 5\]"),
        (torch.randn(3, 4), torch.tensor([0, -1, 2]), r"not in \[-1, 2\]"),
    ],
)
def test_bad_batches_are_named(embeddings: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MarginHead(4, 5, NormFace())(embeddings, labels)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MarginHead(4, 0, NormFace()), "num_classes=0"),
        (lambda: MarginHead(4, 5, NormFace(), chunk_size=-1), "chunk_size=-1"),
        (lambda: MarginHead(4, 5, NormFace(), chunk_size=0), "chunk_size=0"),
        (lambda: MarginHead(4, 5, NormFace(), keep_bytes=-1), "keep_bytes=-1"),
        (
            lambda: MarginHead(4, 1, NormFace(), [IAM(0.1)])(torch.ones(1, 4), torch.tensor([0])),
            "IAM needs at least two classes",
        ),
        (lambda: LSoftmax(m=0), "LSoftmax: m=0"),
        (lambda: L2Softmax(radius=-1), "L2Softmax: radius=-1"),
        (lambda: CombinedMargin(m1=0), "CombinedMargin: m1=0"),
        (lambda: RedefinedArcFace(m2=-1), "RedefinedArcFace: m2=-1"),
        (lambda: InterFace(alpha=-1), "InterFace: alpha=-1"),
        (lambda: InterFace(d_inter=4), "InterFace: d_inter=4"),
        (lambda: InterFace(sign="both"), "InterFace: sign='both'"),  # type: ignore[arg-type]
        (lambda: InterFace().others(torch.ones(1, 1)), "U needs"),
        (lambda: MarginHead(0, 5, NormFace()), "embedding_dim=0"),
        (lambda: NormFace(scale=0), "NormFace: scale=0"),
        (lambda: CosFace(m=-0.1), "CosFace: m=-0.1"),
        (lambda: ArcFace(m=4), "ArcFace: m=4"),
        (lambda: ArcFace(fallback="hard"), "ArcFace: fallback='hard'"),  # type: ignore[arg-type]
        (lambda: ArcFace(scale=float("nan")), "ArcFace: scale=nan"),
        (lambda: SphereFace(m=0.5), "SphereFace: m=0.5"),
        (lambda: SphereFace(lam=-1), "SphereFace: lam=-1"),
        (lambda: IAM(beta=-1), "beta=-1"),
        (lambda: IAM(beta=float("nan")), "beta=nan"),
        (lambda: IAM(beta=1, on="angles"), "on='angles'"),  # type: ignore[arg-type]
    ],
)
def test_bad_settings_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
