"""MarginHead against the literal equations, the public implementations, and its own properties."""

import inspect
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from marginface import adaptive, margins, reference, variants
from marginface.adjacent import PAM
from marginface.angles import psi
from marginface.directions import unit
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
    Ramp,
    RedefinedArcFace,
    Softmax,
    SphereFace,
    WeightNormSoftmax,
)
from marginface.regularizers import IAM, CenterLoss, Fresh, RingLoss
from marginface.settings import Radians
from marginface.sharded import ShardedMarginHead
from marginface.training.recipes import Recipe
from marginface.triplet import Triplet, triplet_loss

Literal = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # x, W, y, b
BIAS = torch.tensor([0.3, -0.2, 0.1, 0.0, -0.4], dtype=torch.float64)

# every loss with its defaults, also one that is added to margins.py, and some with other settings
DEFAULTS: dict[str, Margin] = {
    name: kind()
    for module in (margins, adaptive, variants)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Margin) and kind.__module__ == module.__name__ and name[0] != "_"
    if kind is not Margin
}
LOSSES: dict[str, Margin] = DEFAULTS | {
    "Softmax without bias": Softmax(bias=False),
    "SphereFace m=4 λ=5": SphereFace(4, 5),
    "SphereFace m=1.5": SphereFace(1.5),
    "F-Norm SphereFace": SphereFace(2, 0, 8),
    "LSoftmax, λ 5": LSoftmax(4, 5),
    "CombinedMargin of three": CombinedMargin(64, 1.1, 0.3, 0.2),
    "InterFace cid&ct": InterFace.cid_ct(),
    "InterFace did&ct": InterFace.did_ct(sign="released"),
    "InterFace did&dt": InterFace.did_dt(detach=False),
    "InterFace cid&ct differentiated": InterFace.cid_ct(scale=16.0, detach=False),
    "CircleLoss, γ 32": variants.CircleLoss(32),
    "AdaFace of the code": adaptive.AdaFace(alpha=0.01),
    "MagFace of short features": adaptive.MagFace(16, short=0.1, long=4, lam=2),
    "CurricularFace, hard": adaptive.CurricularFace(16, 0.9, 0.5),
    "ElasticFace+": adaptive.ElasticFace(16, sigma=0.4, plus=True),
    "ElasticFace Cos+": adaptive.ElasticFace(16, 0.35, 0.3, "cos", plus=True),
    "AdaCos fixed": adaptive.AdaCos(dynamic=False),
    "SubCenterArcFace of two": variants.SubCenterArcFace(16, 0.3, 2),
    "SphereFaceR v1": variants.SphereFaceR(8, 1.7, "v1"),
    "SphereFaceR v1 exact": variants.SphereFaceR(8, 1.7, "v1", "exact"),
    "SphereFaceR v2 exact, norms kept": variants.SphereFaceR(None, 1.7, "v2", "exact"),
    "SphereFaceR v0, norms kept": variants.SphereFaceR(None, 1.5, "v0"),
    "SphereFace2 with a bias": variants.SphereFace2(8, 0.2, 2, 0.4, bias_begins=0.3),
    "DynArcFace of few classes": adaptive.DynArcFace(16, 0.3, 0.7, 0.4),
    "AdaptiveFace, λ 3": adaptive.AdaptiveFace(16, lam=3),
}


def literal(margin: Margin) -> Literal:
    """The function of the margin's name in reference.py, with its settings. What it does not take must be at its default."""
    functions = {name.replace("_", ""): f for name, f in vars(reference).items() if inspect.isfunction(f)}
    name = type(margin).__name__
    assert name.lower() in functions, f"reference.py has no function for {name}"
    equation = functions[name.lower()]
    settings = {field.name: getattr(margin, field.name) for field in fields(margin)}  # type: ignore[arg-type]
    if "bias" in settings:
        return lambda x, W, y, b: equation(x, W, y, b if margin.bias else 0 * b)
    # after x, W and y, and but for what was kept before a batch, which is a first one
    taken = [parameter for parameter in list(inspect.signature(equation).parameters)[3:] if parameter != "before"]
    if isinstance(margin, adaptive.ElasticFace):
        return lambda x, W, y, b: equation(x, W, y, margin.scale, margin.kind, margin.plus, margin.draw(len(x), 0))
    if isinstance(margin, variants.SphereFace2):
        more = (margin.scale, margin.m, margin.t, margin.lam)
        return lambda x, W, y, b: equation(x, W, y, *more, torch.tensor(margin.shared_bias(len(W)), dtype=x.dtype))
    names = {"s": "scale"}
    given = {parameter: getattr(margin, names.get(parameter, parameter)) for parameter in taken}
    used = {names.get(parameter, parameter) for parameter in taken} | {"K"}  # K is in the weights' shape
    left = [f for f in fields(margin) if f.name not in used]  # type: ignore[arg-type]
    assert all(settings[field.name] == field.default for field in left)
    return lambda x, W, y, b: equation(x, W, y, **given)


def make_head(
    margin: Margin, classes: int = 5, dim: int = 4, regularizers: tuple[IAM, ...] = (), chunk_size: int | None = 2
) -> MarginHead:
    head = MarginHead(dim, classes, margin, regularizers, chunk_size, keep_bytes=0).double()
    if head.bias is not None:
        head.bias.data = BIAS[:classes].clone()
    if head.kept is not None:
        head.kept.reset_parameters()  # as doubles
    return head


def batch(samples: int = 7, dim: int = 4, classes: int = 5) -> tuple[Tensor, Tensor]:
    x = torch.randn(samples, dim, dtype=torch.float64, requires_grad=True)
    return x, torch.randint(classes, (samples,))


def assert_same(head: MarginHead, equation: Literal) -> None:
    """Value and gradients of the head equal those of the literal equation."""
    x, y = batch(classes=len(head.weight))
    loss = head(x, y)
    expected = equation(x, head.weight, y, BIAS[: len(head.weight)])
    ours = torch.autograd.grad(loss, [x, head.weight])
    theirs = torch.autograd.grad(expected, [x, head.weight])
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, None])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "CircleLoss"])  # which is tested below
def test_equals_the_literal_equation(name: str, classes: int, chunk_size: int | None) -> None:
    assert_same(make_head(LOSSES[name], classes, chunk_size=chunk_size), literal(LOSSES[name]))


@pytest.mark.parametrize("chunk_size", [2, None])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_circle_loss_with_its_papers_scale_equals_the_literal_equation(
    dtype: torch.dtype, tolerance: float, chunk_size: int | None
) -> None:
    """Of samples no further than this: of others the equation's quotients of exponentials, and their derivatives, are 0."""
    head, y = make_head(variants.CircleLoss(), chunk_size=chunk_size).to(dtype), torch.arange(20) % 5
    assert head.margin.scale == 256
    own, cosine = unit(head.weight.detach()[y]), torch.linspace(0.1, 0.99, 20, dtype=dtype)[:, None]
    away = torch.randn(20, 4, dtype=dtype)
    away = unit(away - (away * own).sum(dim=1, keepdim=True) * own)
    x = (3 * (cosine * own + (1 - cosine.square()).sqrt() * away)).requires_grad_()
    points, W = x.detach().double().requires_grad_(), head.weight.detach().double().requires_grad_()
    each = [slice(i, i + 1) for i in range(20)]  # as of a mean the few far ones would decide
    loss = torch.stack([head(x[i], y[i]) for i in each])
    expected = torch.stack([reference.circleloss(points[i], W, y[i], 256, 0.25) for i in each])
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance)
    ours = torch.autograd.grad(loss.sum(), [x, head.weight])
    for mine, theirs in zip(ours, torch.autograd.grad(expected.sum(), [points, W]), strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=tolerance, atol=tolerance * theirs.abs().max().item())


@pytest.mark.parametrize("base", ["NormFace", "CosFace", "ArcFace", "RedefinedArcFace", "InterFace did&dt"])
def test_iam_equals_eq_7_and_leaves_the_base_loss_alone(base: str) -> None:
    margin, equation = LOSSES[base], literal(LOSSES[base])
    s = margin.scale
    assert s is not None
    head = make_head(margin, regularizers=(IAM(0.2),))
    assert_same(head, lambda x, W, y, b: equation(x, W, y, b) + 0.2 * reference.iam(x, W, y, s))


def test_iam_on_logits_has_the_closed_form_of_eq_12() -> None:
    head, beta = make_head(CosFace(30, 0.1), regularizers=(IAM(0.7, on="logits"),)), 0.7
    x, y = batch()
    p = head.logits(x, y).softmax(dim=1)[torch.arange(7), y]
    torch.testing.assert_close(head(x, y), (-p.log() + beta * ((1 - p) / 4).log()).mean(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("margin", [Softmax(), SphereFace(4, 5.0), CosFace(20, 0.1)], ids=lambda margin: type(margin).__name__)
def test_iam_may_have_a_scale_of_its_own(margin: Margin) -> None:
    """A loss that keeps norms has none; with 1 in its place, the term would be nearly the same for all samples."""
    x, y = batch()
    head, plain = make_head(margin, regularizers=(IAM(0.4, scale=7.0),)), make_head(margin)
    plain.load_state_dict(head.state_dict())
    W = plain.weight.detach().requires_grad_()
    added = 0.4 * reference.iam(x, W, y, 7.0)
    (expected,) = torch.autograd.grad(added, W)
    (with_iam,) = torch.autograd.grad(head(x, y), head.weight)
    (without,) = torch.autograd.grad(plain(x, y), plain.weight)
    torch.testing.assert_close(head(x, y) - plain(x, y), added, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(with_iam - without, expected, rtol=1e-8, atol=1e-10)


def test_iam_with_the_base_losss_scale_is_iam_without_one() -> None:
    x, y = batch()
    ours, default = (make_head(CosFace(30, 0.1), regularizers=(IAM(0.7, scale=s),)) for s in (30.0, None))
    default.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x, y), default(x, y), rtol=1e-12, atol=0)


def test_a_scale_of_logits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"IAM: scale=30.0 is that of cosines"):
        IAM(0.1, on="logits", scale=30.0)
    with pytest.raises(ValueError, match=r"IAM: scale=-1 must lie in"):
        IAM(0.1, scale=-1)


def test_bias_gets_the_literal_gradient() -> None:
    head = make_head(Softmax())
    assert head.bias is not None
    x, y = batch()
    b = BIAS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(reference.softmax(x, head.weight, y, b), b)
    (ours,) = torch.autograd.grad(head(x, y), head.bias)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


# which take a part of themselves for a constant, as their papers or codes do: their gradient is not the loss's derivative
HOLDING = {"InterFace", "InterFace cid&ct", "InterFace did&ct", "AdaFace", "AdaFace of the code", "DynArcFace"}
HOLDING |= {"DynArcFace of few classes", "SphereFaceR", "SphereFaceR v1", "SphereFaceR v0, norms kept"}
HOLDING |= {"CircleLoss", "CircleLoss, γ 32"}


@pytest.mark.parametrize("name", LOSSES)
def test_gradcheck(name: str) -> None:
    """The gradient is the loss's derivative, of all that take nothing for a constant and of no others."""
    head = make_head(LOSSES[name], regularizers=(IAM(0.3),)).eval()  # what a margin keeps does not follow
    x, y = batch(3)

    def loss(x: Tensor, W: Tensor) -> Tensor:
        return torch.func.functional_call(head, {"weight": W}, (x, y))

    assert torch.autograd.gradcheck(loss, (x, head.weight), raise_exception=False) == (name not in HOLDING)


@pytest.mark.parametrize("name", LOSSES)
def test_logits_are_what_the_loss_is_made_of(name: str) -> None:
    head = make_head(LOSSES[name]).eval()  # what a margin keeps does not follow
    x, y = batch()
    met = head._met_here(head.margin, x, head._first(unit(x), head.weight, y))
    loss = head(x, y) if met.added is None else head(x, y) - met.added.mean()
    if head.margin.sums == "exp":
        torch.testing.assert_close(torch.nn.functional.cross_entropy(head.logits(x, y), y), loss)
    others = torch.nn.functional.one_hot(y, 5) == 0
    if not met.changes_others:
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
    "SphereFaceR(v0, exact) = F-Norm SphereFace": (variants.SphereFaceR(8, 2, "v0", "exact"), SphereFace(2, 0, 8)),
    "SphereFaceR(m=1) = NormFace": (variants.SphereFaceR(30, 1, "v2", "exact"), NormFace(30)),
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
    margin = LOSSES[name]
    whole = MarginHead(6, classes, margin, [IAM(0.2)], None)
    parts = MarginHead(6, classes, margin, [IAM(0.2)], chunk_size, keep_bytes)
    parts.load_state_dict(whole.state_dict())
    x, y = torch.randn(samples, 6, requires_grad=True), torch.randint(classes, (samples,))
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 5e-5)):
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
    head = make_head(LOSSES[name], regularizers=(IAM(0.2),)).float()
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
    head = make_head(LOSSES[name], regularizers=(IAM(0.2),)).float()
    x = (sign * head.weight.detach().view(5, -1, 4)[:, 0]).requires_grad_()
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
    assert head(x, y).item() == pytest.approx(-128)
    assert base.double()(x.double(), y).item() == pytest.approx(math.exp(-128), rel=1e-9, abs=0)
    near = MarginHead(2, 2, NormFace(32))
    near.weight.data = head.weight.data
    assert near(x, y).item() == pytest.approx(math.exp(-64), rel=1e-5, abs=0)


@pytest.mark.parametrize("chunk_size", [2, None])
@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
@pytest.mark.parametrize("name", LOSSES)
def test_autocast_leaves_the_head_in_float32(name: str, kind: type[MarginHead], chunk_size: int | None) -> None:
    """Its loss and gradients, of a first batch and of a second, when what a loss keeps has moved: to the last bit."""
    whole, batches, found = kind(4, 5, LOSSES[name], [IAM(0.2)], chunk_size), [floats(), floats()], []
    for inside in (False, True):
        head = deepcopy(whole)
        for x, y in batches:
            leaf = x.clone().requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=inside):
                loss = head(leaf, y)
            found.append([loss, *torch.autograd.grad(loss, [leaf, *head.parameters()])])
    for without, under in zip(found[:2], found[2:], strict=True):
        assert under[0].dtype == torch.float32
        for mine, theirs in zip(under, without, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


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
        (torch.randn(3, 4), torch.tensor([0.0, 1.0, 2.0]), r"labels must be int64, not torch.float32$"),
        (torch.randn(3, 4), torch.tensor([0, 1, 2]).int(), r"labels must be int64, not torch.int32: labels.long\(\)"),
        (torch.randn(3, 4), torch.tensor([0, -100, 2]), r"not in \[-100, 2\]; none is ignored"),
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
        (lambda: adaptive.DynArcFace(m=1, slope=2), "DynArcFace: slope=2 makes margins of up to 5.28.*at most π"),
        (lambda: adaptive.DynArcFace(slope=-1), "DynArcFace: slope=-1"),
        (lambda: ArcFace(m=4), "ArcFace: m=4"),
        (lambda: ArcFace(m=28.6), r"ArcFace: m=28.6 must lie in \[0, π\] radians; for degrees, math.radians\(28.6\)"),
        (lambda: InterFace(b=10), r"InterFace: b=10 must lie in \[0, π\] radians; for degrees, math.radians\(10\)"),
        (lambda: ArcFace(m=Ramp(0, 28.6, 10)), "ArcFace: m=28.6"),
        (lambda: Ramp(0, 0.5, 0), "Ramp: steps=0"),
        (lambda: CosFace(0.35, 64), r"CosFace: m=64 must lie in \[0, 2\]; the order is CosFace\(scale, m\)"),
        (lambda: SphereFace(64, 4), r"SphereFace: m=64 must lie in .*; the order is SphereFace\(m, lam, scale\)"),
        (lambda: MarginHead(4, 5, NormFace(), reduction="max"), "reduction='max' must be"),  # type: ignore[arg-type]
        (lambda: MarginHead(4, 5, NormFace(), [lambda terms: terms.target[:, None]])(*floats()), r"gave \(7, 1\)"),
        (lambda: MarginHead(4, 5, NormFace())(*floats(), torch.ones(6)), r"weights must be .*\(7,\).*\(6,\)"),
        (lambda: MarginHead(4, 5, NormFace())(*floats(), -torch.ones(7)), "weights must be finite and at least 0"),
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


def loose(kind: Any) -> Any:
    """The same, for arguments of any types."""
    return kind


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: loose(NormFace)(scale=nn.Parameter(torch.tensor(8.0))),
            "NormFace: scale must be a number, .*would get no gradient",
        ),
        (lambda: loose(ArcFace)(m=nn.Parameter(torch.tensor(0.5))), r"ArcFace: m must be a number or a schedule.*no gradient"),
        (lambda: loose(ArcFace)(m="0.5"), "ArcFace: m must be a number or a schedule.*not str '0.5'"),
        (lambda: loose(ArcFace)(scale=Annealing()), "ArcFace: scale must be a number, not Annealing"),
        (lambda: loose(IAM)(beta=torch.tensor(0.1)), "IAM: beta must be a number, not Tensor"),
        (lambda: loose(CenterLoss)(torch.tensor(0.1)), "CenterLoss: weight must be a number, not Tensor"),
        (lambda: loose(PAM)(0.1, shrink_rate="1"), "PAM: shrink_rate must be a number, not str"),
        (lambda: loose(Triplet)(torch.tensor(0.2)), "Triplet: margin must be a number, not Tensor"),
        (lambda: loose(MarginHead)(4, 5, ArcFace), r"margin must be a loss, not its class: ArcFace\(\)"),
        (lambda: loose(MarginHead)(4, 5, "arcface"), "margin must be a loss of marginface.margins.*not 'arcface'"),
        (lambda: loose(MarginHead)(4, 5, None), "margin must be a loss.*not None"),
        (lambda: loose(ShardedMarginHead)(4, 6, "arcface", corrected=True), "margin must be a loss .*not 'arcface'"),
        (lambda: loose(ShardedMarginHead)(4, 6, ArcFace, corrected=True), r"its class: ArcFace\(\)"),
        (lambda: loose(MarginHead)(4, 5, Triplet()), "margin must be a loss.*not Triplet"),
        (lambda: loose(MarginHead)(4, 5.0, NormFace()), "num_classes must be an int, not float 5.0"),
        (lambda: loose(MarginHead)(4, 5, NormFace(), IAM(0.1)), "regularizers must be a list, such as .*not IAM"),
        (lambda: loose(ShardedMarginHead)(4, 5, NormFace(), IAM(0.1)), "regularizers must be a list, such as .*not IAM"),
        (lambda: loose(MarginHead)(4, 5, NormFace(), [IAM]), "regularizers: IAM is a class"),
        (
            lambda: loose(MarginHead)(4, 5, NormFace(), [Fresh.of(CenterLoss, weight=0.1)]),
            r"regularizers: CenterLoss.* its build\(\)",
        ),
        (lambda: loose(MarginHead)(4, 5, NormFace(), [0.1]), "regularizers: 0.1 is no function of Terms"),
        (lambda: loose(MarginHead)(4, 5, NormFace())(torch.ones(1, 4), None), "labels must be a torch.Tensor, not NoneType"),
        (lambda: loose(MarginHead)(4, 5, NormFace())(torch.ones(1, 4), [0]), r"labels .* not list: torch.tensor\(labels\)"),
        (
            lambda: loose(MarginHead)(4, 5, NormFace())(torch.ones(1, 4), np.array([0])),
            r"not ndarray: torch.from_numpy\(labels\)",
        ),
        (
            lambda: MarginHead(4, 5, NormFace())(np.ones((1, 4)), torch.tensor([0])),
            "embeddings must be a torch.Tensor, not nda",
        ),
        (lambda: loose(triplet_loss)(torch.ones(1, 4), [0]), "labels must be a torch.Tensor, not list"),
    ],
)
def test_other_types_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def floats() -> tuple[Tensor, Tensor]:
    x, y = batch()
    return x.detach().float(), y


@dataclass(frozen=True)
class PrintedLSoftmax(LSoftmax):
    """PAM Eq. 2 as printed: ψ for the other classes, too."""

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        return psi(cosine, 2)


@dataclass(frozen=True)
class PrintedSphereFace(SphereFace):
    """The same where only the embedding keeps its norm, and with a shift."""

    detach = False

    def shift(self, own: Tensor, centre: Tensor | None = None) -> Tensor:
        return 0.1 * own

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        assert shift is not None
        return cosine - shift


@pytest.mark.parametrize("chunk_size", [2, None])
def test_a_loss_of_ones_own_that_keeps_norms_sees_cosines(chunk_size: int | None) -> None:
    x, y = batch()
    W = torch.randn(5, 4, dtype=torch.float64)
    length, cosine = x.norm(dim=1, keepdim=True), torch.cosine_similarity(x[:, None], W, dim=2)
    own = cosine.gather(1, y[:, None])
    both = length * W.norm(dim=1) * psi(cosine, 2)
    one = length * (cosine - 0.1 * own).scatter(1, y[:, None], psi(own, 2))
    for margin, logits in ((PrintedLSoftmax(2), both), (PrintedSphereFace(2), one)):
        head = make_head(margin, chunk_size=chunk_size)
        head.weight.data = W
        torch.testing.assert_close(head.logits(x, y), logits)
        expected = torch.nn.functional.cross_entropy(logits, y)
        torch.testing.assert_close(head(x, y), expected)
        ours, theirs = (torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in (head(x, y), expected))
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["Softmax", "WeightNormSoftmax", "L2Softmax", "LSoftmax", "SphereFace"])
def test_iam_on_cosines_has_cosines_whatever_norms_the_loss_keeps(name: str) -> None:
    margin, equation = LOSSES[name], literal(LOSSES[name])
    head = make_head(margin, regularizers=(IAM(0.2),))
    assert_same(head, lambda x, W, y, b: equation(x, W, y, b) + 0.2 * reference.iam(x, W, y, margin.scale or 1.0))


def test_what_is_computed_a_second_time_moves_nothing() -> None:
    """torch.utils.checkpoint over a head with every kind of state gives the same state and gradients as without."""
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        margin = SphereFace(2, Annealing(10, 0, 5), scale=8.0)
        head = MarginHead(4, 5, margin, [CenterLoss(0.3), PAM(0.3, version=2, start_step=1), RingLoss(0.3)]).double()
        optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
        x, y = batch()
        for _ in range(3):
            for part in (slice(0, 4), slice(4, 7)):  # two batches a step
                ours = (x[part], y[part])
                (checkpoint(head, *ours, use_reentrant=False) if again else head(*ours)).backward()
            optimizer.step()
            optimizer.zero_grad()
        assert head.step == 3
        found.append((x.grad, *(value for value in head.state_dict().values() if isinstance(value, Tensor))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_batch_without_gradients_moves_nothing() -> None:
    head = MarginHead(4, 5, NormFace(), [CenterLoss(0.3), PAM(0.3), RingLoss(0.3)])
    before = deepcopy(head.state_dict())
    with torch.no_grad():
        head(*floats())
    for name, value in head.state_dict().items():
        assert value == before[name] if name == "_extra_state" else torch.equal(value, before[name])


def test_class_weights_alone_are_a_whole_state() -> None:
    head, W = MarginHead(4, 5, ArcFace()), torch.randn(5, 4)
    head.load_state_dict({"weight": W}, strict=True)
    assert torch.equal(head.weight, W)
    head.load_state_dict({"weight": W, "_extra_state": {"step": 3}})  # of before the loss was noted
    assert head.step == 3
    learner = nn.ModuleDict({"head": head})
    learner.load_state_dict({"head.weight": W}, strict=True)
    with pytest.raises(RuntimeError, match="weight"):
        head.load_state_dict({}, strict=True)


def test_weights_of_another_loss_are_loaded_with_a_warning() -> None:
    head, other = MarginHead(4, 5, ArcFace()), MarginHead(4, 5, CosFace())
    with pytest.warns(UserWarning, match=r"trained with ArcFace\(scale=64, m=0.5.*this head has CosFace"):
        other.load_state_dict(head.state_dict())
    MarginHead(4, 5, ArcFace(64, 0.5)).load_state_dict(head.state_dict())


def test_a_head_shows_what_it_is() -> None:
    text = repr(MarginHead(4, 5, ArcFace(32), [IAM(0.1), CenterLoss(0.3)], reduction="sum"))
    for part in ("4, 5, ArcFace(scale=32, m=0.5", "IAM(beta=0.1", "CenterLoss(weight=0.3", "reduction='sum'", "chunk_size=512"):
        assert part in text


def test_it_starts_anew() -> None:
    head = MarginHead(4, 5, SphereFace(2, Annealing()), [CenterLoss(0.3), PAM(0.3), RingLoss(0.3)])
    assert (head.embedding_dim, head.num_classes) == (4, 5)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(*floats()).backward()
    optimizer.step()
    torch.manual_seed(1)
    head.reset_parameters()
    torch.manual_seed(1)
    fresh = MarginHead(4, 5, SphereFace(2, Annealing()), [CenterLoss(0.3), PAM(0.3), RingLoss(0.3)]).state_dict()
    for name, value in head.state_dict().items():
        assert value == fresh[name] if name == "_extra_state" else torch.equal(value, fresh[name])


@pytest.mark.parametrize("chunk_size", [2, None])
def test_losses_of_each_sample_and_their_weights(chunk_size: int | None) -> None:
    x, y = batch()
    heads = {
        how: MarginHead(4, 5, ArcFace(8), [IAM(0.2), PAM(0.3), CenterLoss(0.1)], chunk_size, reduction=how).double().eval()
        for how in ("none", "sum", "mean")
    }
    for head in heads.values():
        head.load_state_dict(heads["mean"].state_dict())
    each, total, mean = (heads[how](x, y) for how in ("none", "sum", "mean"))
    alone = torch.stack([heads["mean"](x[i : i + 1], y[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(each, alone)
    torch.testing.assert_close(total, alone.sum())
    torch.testing.assert_close(mean, alone.mean())
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0])
    torch.testing.assert_close(heads["none"](x, y, weights), weights * alone)
    torch.testing.assert_close(heads["sum"](x, y, weights), (weights * alone).sum())
    torch.testing.assert_close(heads["mean"](x, y, weights), (weights * alone).sum() / weights.sum())
    assert heads["mean"](x, y, torch.zeros(7)) == 0


@pytest.mark.parametrize(
    ("grown", "then"),
    [
        (ArcFace(m=Ramp(0, 0.5, 10)), ArcFace(m=0.2)),
        (CosFace(m=Annealing(0.5, 0.1, 0.25)), CosFace(m=0.5 / 2)),
        (LSoftmax(Ramp(1, 3.5, 10)), LSoftmax(2)),
        (LSoftmax(2, Annealing(10, 5, 0.25)), LSoftmax(2, 5)),
        (SphereFace(Ramp(1, 3.5, 10)), SphereFace(2)),
        (CombinedMargin(m1=Ramp(1, 2, 10), m2=Ramp(0, 1, 10), m3=Ramp(0, 1, 10)), CombinedMargin(64, 1.4, 0.4, 0.4)),
        (RedefinedArcFace(m1=Ramp(0, 1, 10), m2=Ramp(0, 0.5, 10)), RedefinedArcFace(64, 0.4, 0.2)),
        (InterFace(m=Ramp(0, 1, 10)), InterFace(m=0.4)),
    ],
)
def test_a_margin_grows_during_training(grown: Margin, then: Margin) -> None:
    head, fixed = make_head(grown), make_head(then)
    fixed.weight.data = head.weight.data
    head.step = 4
    x, y = batch()
    torch.testing.assert_close(head(x, y), fixed(x, y))
    torch.testing.assert_close(head.logits(x, y), fixed.logits(x, y))


def test_a_recipe_keeps_a_schedule() -> None:
    recipe = Recipe(ArcFace(m=Ramp(0, 0.5, 100)))
    literal = Recipe(InterFace(b=Radians(10)))
    assert Recipe.from_json(literal.to_json()) == literal
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.key != Recipe(ArcFace(m=Ramp(0, 0.5, 200))).key
