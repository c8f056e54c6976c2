"""Small computed examples for the book's pages on losses: gradients over an angle, and what differs between implementations."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from marginface.book.papers.arcface.figure2 import corridor
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CosFace, Margin, NormFace, Softmax, SphereFace, WeightNormSoftmax
from marginface.regularizers import IAM, Terms

CLASSES = 10_572  # CASIA-WebFace


@dataclass(frozen=True)
class Profile:
    """A loss whose curves are drawn: one embedding at θ to its class weight, and at 90° to those of all other classes."""

    margin: Margin
    regularizers: Sequence[Callable[[Terms], Tensor]] = ()
    classes: int = CLASSES

    def others(self, degrees: np.ndarray) -> np.ndarray:
        """U over its angle."""
        return self.margin.others(torch.from_numpy(np.cos(np.radians(degrees)))).numpy()

    def gradients(self, degrees: np.ndarray, length: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """The gradient with respect to an embedding of that length, by autograd through `MarginHead`.

        Returns: its part along the embedding, positive where a step of training shortens it, and its part across,
        positive where a step turns the embedding to its class. Class weights have length 1, biases are 0.
        """
        head = MarginHead(3, self.classes, self.margin, self.regularizers).double()
        head.weight.data = torch.tensor([[0, 0, 1.0]], dtype=torch.float64).repeat(self.classes, 1)
        head.weight.data[0] = torch.tensor([1.0, 0, 0])
        theta = torch.from_numpy(np.radians(degrees))
        along = torch.stack([theta.cos(), theta.sin(), torch.zeros_like(theta)], dim=1)
        across = torch.stack([-theta.sin(), theta.cos(), torch.zeros_like(theta)], dim=1)
        x = (length * along).requires_grad_()
        loss = len(theta) * head(x, torch.zeros(len(theta), dtype=torch.int64))
        (gradient,) = torch.autograd.grad(loss, x)
        return (gradient * along).sum(dim=1).numpy(), (gradient * across).sum(dim=1).numpy()

    def gradient(self, degrees: np.ndarray, length: float = 1.0) -> np.ndarray:
        """The length of the gradient within the plane of the embedding and its class weight."""
        return np.hypot(*self.gradients(degrees, length))


def slope(margin: Margin, degrees: np.ndarray) -> np.ndarray:
    """dT/dcos θ, by automatic differentiation."""
    cosine = torch.from_numpy(np.cos(np.radians(degrees))).requires_grad_()
    (derivative,) = torch.autograd.grad(margin.target(cosine).sum(), cosine)
    return derivative.numpy()


# what normalisation does


def normalisation_table(degrees: float = 60.0, lengths: Sequence[float] = (1, 4, 16, 64), classes: int = 10) -> pd.DataFrame:
    """The two parts of the gradient at one angle, for embeddings of several lengths."""
    losses = {"WeightNormSoftmax": WeightNormSoftmax(), "NormFace (s = 16)": NormFace(16.0)}
    lines = []
    for name, margin in losses.items():
        for length in lengths:
            parts = Profile(margin, classes=classes).gradients(np.array([degrees]), length)
            lines.append((name, f"{length:g}", *(f"{float(part[0]):+.4f}" for part in parts)))
    return pd.DataFrame(lines, columns=["loss", "‖x‖", "along x", "across x"])


def weight_length_table(lengths: Sequence[float] = (1, 1.5, 2, 4)) -> pd.DataFrame:
    """Up to which angle to its weight a class wins from another 90° away, as its weight grows longer."""
    directions = torch.linspace(0, 90, 9001, dtype=torch.float64).deg2rad()
    x = torch.stack([directions.cos(), directions.sin()], dim=1)
    columns = {"‖w₁‖ / ‖w₂‖": [f"{length:g}" for length in lengths]}
    for name, margin in {"Softmax": Softmax(bias=False), "WeightNormSoftmax": WeightNormSoftmax()}.items():
        edges = []
        for length in lengths:
            head = MarginHead(2, 2, margin).double()
            head.weight.data = torch.tensor([[length, 0], [0, 1]], dtype=torch.float64)
            won = head.logits(x).argmax(dim=1) == 0
            edges.append(math.degrees(float(directions[won].max())))
        columns[name] = [f"{edge:.0f}°" for edge in edges]
    return pd.DataFrame(columns)


def ceiling_table(counts: Sequence[int] = (10, CLASSES, 85_742), scales: Sequence[float] = (1, 16, 30, 64)) -> pd.DataFrame:
    """The largest p that unit vectors can reach: θ = 0, all other weights as far away as they can all be from each other.

    C unit vectors cannot all be further apart than at the cosine -1 / (C - 1), which takes C - 1 dimensions.
    """
    lines = []
    for C in counts:
        p = [1 / (1 + (C - 1) * math.exp(-s * (1 + 1 / (C - 1)))) for s in scales]
        lines.append((f"{C:,}", *(f"{value:.4f}" for value in p)))
    return pd.DataFrame(lines, columns=["classes", *(f"s = {s:g}" for s in scales)])


def zero_table() -> pd.DataFrame:
    """An embedding of zeros: by hand, divided by its length, and through `MarginHead`. Loss and gradient with three classes."""
    head, y = MarginHead(4, 3, NormFace(30.0)), torch.tensor([0])

    def by_hand(x: Tensor) -> Tensor:
        W = head.weight / head.weight.norm(dim=1, keepdim=True)
        return F.cross_entropy(30 * (x / x.norm(dim=1, keepdim=True)) @ W.T, y)

    lines = []
    for name, loss in (("x / ‖x‖, by hand", by_hand), ("MarginHead", lambda x: head(x, y))):
        x = torch.zeros(1, 4, requires_grad=True)
        value = loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        lines.append((name, f"{value.item():.4f}", "finite" if bool(gradient.isfinite().all()) else "NaN"))
    return pd.DataFrame(lines, columns=["", "loss", "gradient"])


# how implementations of ArcFace differ


def fallback_table(m: float = 0.5) -> pd.DataFrame:
    """T of ArcFace's three fallbacks, also on both sides of the angles at which they change."""
    turn = 180 - math.degrees(m)
    degrees = np.array([60, 89.99, 90.01, turn - 0.01, turn + 0.01, 165, 180])
    table = {"θ": [f"{angle:.2f}°" for angle in degrees]}
    for fallback in ("none", "monotonic", "easy"):
        target = ArcFace(m=m, fallback=fallback).target(torch.from_numpy(np.cos(np.radians(degrees))))
        table[fallback] = [f"{value:+.3f}" for value in target.tolist()]
    return pd.DataFrame(table)


def slope_table(m: float = 0.5, degrees: Sequence[float] = (1, 10, 30, 60, 90, 120, 150, 170)) -> pd.DataFrame:
    """dT/dcos θ of ArcFace, exact and straight-through."""
    exact, through = (slope(ArcFace(m=m, gradient=kind), np.array(degrees)) for kind in ("exact", "straight_through"))
    columns = {"exact": exact, "straight_through": through}
    return pd.DataFrame({"θ": [f"{d:g}°" for d in degrees]} | {name: [f"{v:+.2f}" for v in c] for name, c in columns.items()})


def endpoint_table(m: float = 0.5) -> pd.DataFrame:
    """The derivative of cos(θ + m) with respect to an embedding at 0°, near 0° and at 180°, written in three ways."""
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "cos(acos(c) + m)": lambda c: torch.cos(torch.acos(c) + m),
        "c cos m − √(1 − c²) sin m": lambda c: c * math.cos(m) - (1 - c * c).sqrt() * math.sin(m),
        "marginface.margins.ArcFace": ArcFace(m=m).target,
    }
    return _endpoints(forms)


def half_precision_table(degrees: Sequence[float] = (1, 2, 5, 10, 30, 60)) -> pd.DataFrame:
    """The angle that is left of one when its cosine is rounded."""
    kinds = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    table = {"θ": [f"{d:g}°" for d in degrees]}
    for name, kind in kinds.items():
        cosine = torch.tensor(degrees, dtype=torch.float64).deg2rad().cos().to(kind).double()
        table[name] = [f"{angle:.2f}°" for angle in cosine.arccos().rad2deg().tolist()]
    return pd.DataFrame(table)


def autocast_table(degrees: Sequence[float] = (0.5, 1, 2, 5, 10), s: float = 64.0, m: float = 0.35) -> pd.DataFrame:
    """How a CosFace written by hand and ours turn an embedding to its class under bfloat16 autocast: part across it."""
    theta = torch.tensor(degrees).deg2rad()
    y = torch.zeros(len(theta), dtype=torch.int64)
    near = math.radians(12.0)  # another class, so near that the loss is not done
    W = torch.tensor([[1.0, 0, 0], [math.cos(near), 0, math.sin(near)]])
    head = MarginHead(3, 2, CosFace(s, m))
    head.weight.data = W

    def by_hand(x: Tensor) -> Tensor:
        logits = F.normalize(x) @ F.normalize(W).T  # a matrix product: autocast takes it in bfloat16
        return F.cross_entropy(s * (logits - m * F.one_hot(y, 2)), y)

    def ours(x: Tensor) -> Tensor:
        return head(x, y)

    columns = {"θ": [f"{d:g}°" for d in degrees]}
    for name, loss, low in (
        ("by hand, float32", by_hand, False),
        ("by hand, autocast", by_hand, True),
        ("ours, autocast", ours, True),
    ):
        x = torch.stack([theta.cos(), theta.sin(), torch.zeros_like(theta)], dim=1).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            value = loss(x)
        (gradient,) = torch.autograd.grad(value * len(theta), x)
        columns[name] = [f"{part:.3f}" for part in gradient[:, 1].tolist()]
    return pd.DataFrame(columns)


# CosFace and SphereFace


def cosine_margin_table(ms: Sequence[float] = (0.1, 0.3, 0.35, 0.4), apart: Sequence[float] = (60, 90, 120)) -> pd.DataFrame:
    """What a cosine margin is in degrees: between two regions, and how near two classes can be and still have one."""
    lines = []
    for m in ms:
        gaps = [f"{corridor(CosFace(m=m), angle)[0]:.1f}°" for angle in apart]
        lines.append((f"{m:g}", *gaps, f"{math.degrees(math.acos(1 - m)):.1f}°"))
    return pd.DataFrame(lines, columns=["m", *(f"centres {angle:g}° apart" for angle in apart), "least distance of centres"])


def annealing_table(m: float = 4, lambdas: Sequence[float] = (1000, 100, 10, 5, 0), degrees: float = 60.0) -> pd.DataFrame:
    """What is left of SphereFace's margin as λ falls: T, and the angle whose cosine T is."""
    lines = []
    for lam in lambdas:
        value = float(SphereFace(m, lam).target(torch.tensor(math.cos(math.radians(degrees)), dtype=torch.float64)))
        angle = f"{math.degrees(math.acos(value)):.1f}°" if value >= -1 else "none: T is below −1"
        lines.append((f"{lam:g}", f"{value:+.3f}", angle))
    return pd.DataFrame(lines, columns=["λ", f"T({degrees:g}°)", "the cosine of"])


def multiple_endpoint_table() -> pd.DataFrame:
    """The same for ψ with m = 4: through arccos, through the polynomial of cos 4θ, and here."""

    def pieces(c: Tensor, cosine_of_multiple: Tensor) -> Tensor:
        k = sum((c < math.cos(j * math.pi / 4)).to(c.dtype) for j in (1, 2, 3))
        return (1 - 2 * (k % 2)) * cosine_of_multiple - 2 * k

    return _endpoints(
        {
            "cos(4 acos(c))": lambda c: pieces(c, torch.cos(4 * torch.acos(c))),
            "8c⁴ − 8c² + 1": lambda c: pieces(c, 8 * c**4 - 8 * c**2 + 1),
            "marginface.margins.SphereFace": SphereFace(4).target,
        }
    )


def kink_table(m: int = 4) -> pd.DataFrame:
    """ψ on both sides of the angles where its pieces meet, and the gradient there."""
    lines = []
    for k in range(1, m):
        meeting = 180 * k / m
        sides = np.array([meeting - 1e-6, meeting + 1e-6])
        values = SphereFace(m).target(torch.from_numpy(np.cos(np.radians(sides)))).tolist()
        _, across = Profile(SphereFace(m)).gradients(np.array([meeting, meeting + 5]), length=16.0)
        lines.append((f"{meeting:g}°", *(f"{value:+.4f}" for value in values), *(f"{part:.2f}" for part in across)))
    columns = ["θ", "ψ just below", "ψ just above", "gradient across x there", "5° further"]
    return pd.DataFrame(lines, columns=columns)


# IAM


def naive_iam_table(s: float = 30.0, degrees: Sequence[float] = (80, 60, 40, 20)) -> pd.DataFrame:
    """log(1 - p), once as written and once as IAM computes it, in float32; two classes at 90°."""
    theta = torch.tensor(degrees).deg2rad()
    target, others = s * theta.cos(), torch.zeros(len(theta))
    p = torch.exp(target - torch.logaddexp(target, others))
    naive = torch.log(1 - p)
    x = torch.stack([theta.cos(), theta.sin(), torch.zeros_like(theta)], dim=1)
    ours = [_iam_alone(sample[None], s) for sample in x]
    exact = [-float(torch.nn.functional.softplus(z)) for z in target.double()]
    columns = {"θ": [f"{d:g}°" for d in degrees], "log(1 − p)": [f"{v:.4f}" for v in naive.tolist()]}
    return pd.DataFrame(columns | {"IAM": [f"{v:.4f}" for v in ours], "in float64": [f"{v:.4f}" for v in exact]})


def _iam_alone(x: Tensor, s: float) -> float:
    """What IAM adds to the loss of a sample (1, 3) of the first of two classes, whose weights are the x- and the z-axis."""
    with_iam, base = (MarginHead(3, 2, NormFace(s), regularizers) for regularizers in ([IAM(1.0)], []))
    with_iam.weight.data = base.weight.data = torch.eye(3)[[0, 2]]
    label = torch.tensor([0])
    return (with_iam(x, label) - base(x, label)).item()


def iam_reading_table(beta: float = 0.1, degrees: Sequence[float] = (20, 40, 60, 70, 80)) -> pd.DataFrame:
    """How much of the gradient across the embedding IAM adds to CosFace, in both readings."""
    margin, angles = CosFace(30.0, 0.4), np.array(degrees, dtype=float)
    plain = Profile(margin).gradients(angles)[1]
    columns = {"θ": [f"{d:g}°" for d in degrees], "CosFace alone": [f"{v:.3f}" for v in plain]}
    for on in ("cosines", "logits"):
        added = Profile(margin, [IAM(beta, on=on)]).gradients(angles)[1] - plain
        columns[f'IAM adds, on="{on}"'] = [f"{v:.3f}" for v in added]
    return pd.DataFrame(columns)


def _endpoints(forms: dict[str, Callable[[Tensor], Tensor]]) -> pd.DataFrame:
    """The length of the gradient with respect to an embedding of functions of the cosine, in float32."""
    w = torch.tensor([1.0, 0.0, 0.0])
    places = {"θ = 0°": [1.0, 0, 0], "θ = 1°": [math.cos(math.pi / 180), math.sin(math.pi / 180), 0], "θ = 180°": [-1.0, 0, 0]}
    lines = []
    for name, form in forms.items():
        cells = []
        for place in places.values():
            x = torch.tensor(place, requires_grad=True)
            cosine = F.normalize(x, dim=0) @ w
            (gradient,) = torch.autograd.grad(form(cosine), x)
            cells.append("NaN" if bool(gradient.isnan().any()) else f"{float(gradient.norm()):.4f}")
        lines.append((name, *cells))
    return pd.DataFrame(lines, columns=["T as", *places])
