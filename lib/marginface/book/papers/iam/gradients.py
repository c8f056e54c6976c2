"""IAM §3 and §4.1: Eq. 9-14 against automatic differentiation, and what the paper says of β on the strength of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from marginface import reference
from marginface.book.items import Item
from marginface.book.verdicts import Claim
from marginface.heads import MarginHead
from marginface.margins import NormFace
from marginface.regularizers import IAM

TOLERANCE = 1e-10  # of a relative difference between two float64 computations of the same gradient
CASIA_CLASSES = 10_575  # §5.2
THETA = np.linspace(0, 180, 721)


@dataclass(frozen=True)
class Batch:
    """Random features and class weights of unit length. Class `c` is the own class of some samples and not of others."""

    x: Tensor  # (N, d) float64
    W: Tensor  # (C, d) float64
    y: Tensor  # (N,) int64
    c: int


def random_batch(samples: int = 8, classes: int = 5, dim: int = 6, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, dim, generator=generator, dtype=torch.float64)
    W = torch.randn(classes, dim, generator=generator, dtype=torch.float64)
    return Batch(F.normalize(x), F.normalize(W), torch.arange(samples) % (classes - 1), 0)


def losses(x: Tensor, W: Tensor, y: Tensor, s: float, base: float, beta: float) -> Tensor:
    """base times the scaled softmax plus β times IAM, of each sample, with x and W taken as they are. Shape (N,)."""
    z = s * x @ W.T
    target = z.gather(1, y[:, None]).squeeze(1)
    others = z.scatter(1, y[:, None], -torch.inf).logsumexp(dim=1)
    return -base * F.logsigmoid(target - others) + beta * (F.logsigmoid(others - target) - math.log(len(W) - 1))


@dataclass(frozen=True)
class Equation:
    """A printed gradient: of base · L_scale + β · L_IAM, with respect to x, to the own class or to another class."""

    base: float
    beta: float
    variable: str  # "x", "own" or "other"
    summand: Callable[[Batch, int, int], Tensor]  # of a batch, a sample i and a class j


def equations(s: float, beta: float) -> dict[str, Equation]:
    """Eq. 9, 10, 11, 13, 14 in their literal forms."""
    ref = reference
    return {
        "Eq. 9": Equation(0, 1, "x", lambda b, i, j: ref.iam_eq9(b.x[i], b.W, int(b.y[i]), s)),
        "Eq. 10": Equation(0, 1, "own", lambda b, i, j: ref.iam_eq10(b.x[i], b.W, int(b.y[i]), s)),
        "Eq. 11": Equation(0, 1, "other", lambda b, i, j: ref.iam_eq11(b.x[i], b.W, int(b.y[i]), j, s)),
        "Eq. 13": Equation(1, beta, "own", lambda b, i, j: ref.iam_eq13(b.x[i], b.W, int(b.y[i]), s, beta)),
        "Eq. 14": Equation(1, beta, "other", lambda b, i, j: ref.iam_eq14(b.x[i], b.W, int(b.y[i]), j, s, beta)),
    }


def error_of_one_sample(equation: Equation, batch: Batch, s: float) -> float:
    """The largest relative error of the summand, over all samples alone (N = 1), and over all classes that it is about."""
    errors = []
    for i in range(len(batch.x)):
        gx, gW = _free_gradients(equation, batch, s, [i])
        own = int(batch.y[i])
        if equation.variable == "x":
            errors.append(_error(equation.summand(batch, i, own), gx[i]))
        for j in range(len(batch.W)):
            if (equation.variable, j == own) in (("own", True), ("other", False)):
                errors.append(_error(equation.summand(batch, i, j), gW[j]))
    return max(errors)


def error_as_printed(equation: Equation, batch: Batch, s: float) -> float:
    """The relative error for a batch, summed over all i as printed: for x_0, or for the weight of class c."""
    N = len(batch.x)
    gx, gW = _free_gradients(equation, batch, s, range(N))
    printed = torch.stack([equation.summand(batch, i, batch.c) for i in range(N)]).mean(dim=0)
    return _error(printed, (gx[0] if equation.variable == "x" else gW[batch.c]) / N)


def error_as_meant(equation: Equation, batch: Batch, s: float) -> float:
    """The same, summed over those samples alone that the derivative is about.

    Those are x_i itself, the samples of class c (a derivative for the own class) or those of all other classes. For weights
    it is compared with the derivative of these samples' part of the loss: the whole is the sum of both parts.
    """
    N = len(batch.x)
    if equation.variable == "x":
        chosen = [0]
    else:
        chosen = [i for i in range(N) if (int(batch.y[i]) == batch.c) == (equation.variable == "own")]
    gx, gW = _free_gradients(equation, batch, s, chosen)
    meant = torch.stack([equation.summand(batch, i, batch.c) for i in chosen]).sum(dim=0) / N
    return _error(meant, (gx[0] if equation.variable == "x" else gW[batch.c]) / N)


def errors_when_normalised(equation: Equation, batch: Batch, s: float, length: float = 2.0) -> tuple[float, float]:
    """For one sample, against the gradient of a head that normalises x and w itself, both of the given length.

    Returns: the relative error of the equation, and of the equation without its part along x or w, over that length.
    """
    head = MarginHead(batch.x.shape[1], len(batch.W), NormFace(s), [IAM(equation.beta)]).double()
    head.weight.data = length * batch.W
    x = (length * batch.x[:1]).requires_grad_()
    loss = head(x, batch.y[:1])
    if not equation.base:  # what IAM alone adds
        without = MarginHead(batch.x.shape[1], len(batch.W), NormFace(s)).double()
        without.weight = head.weight
        loss = loss - without(x, batch.y[:1])
    gx, gW = torch.autograd.grad(loss, (x, head.weight))
    own = int(batch.y[0])
    j = own if equation.variable == "own" else (own + 1) % len(batch.W)
    exact, direction = (gx[0], batch.x[0]) if equation.variable == "x" else (gW[j], batch.W[j])
    printed = equation.summand(batch, 0, j)
    return _error(printed, exact), _error((printed - (printed @ direction) * direction) / length, exact)


def error_of_eq12(batch: Batch, s: float, beta: float) -> float:
    """The relative error of Eq. 12, a rewriting of Eq. 8, against `MarginHead` with IAM."""
    head = MarginHead(batch.x.shape[1], len(batch.W), NormFace(s), [IAM(beta)]).double()
    head.weight.data = batch.W
    return _error(reference.iam_eq12(batch.x, batch.W, batch.y, s, beta), head(batch.x, batch.y).detach())


def equations_table(batch: Batch, s: float, beta: float) -> pd.DataFrame:
    """The relative errors of every equation under every reading."""
    lines = []
    for name, equation in equations(s, beta).items():
        raw, projected = errors_when_normalised(equation, batch, s)
        readings = (error_of_one_sample, error_as_printed, error_as_meant)
        lines.append(
            (name.replace(" ", "\N{NO-BREAK SPACE}"), *(reading(equation, batch, s) for reading in readings), raw, projected)
        )
    names = ["one sample", "batch, all i summed", "batch, own part", "normalised inside", "the same, projected"]
    frame = pd.DataFrame(lines, columns=["equation", *names])
    frame[names] = frame[names].map(lambda error: f"{error:.0e}" if error < 0.01 else f"{error:.2f}")
    return frame


def equation_claims(batch: Batch, s: float, beta: float) -> list[Claim]:
    """Each equation for one sample, and for a batch as printed; and the remark of §3 on N = 1."""
    error = error_of_eq12(batch, s, beta)
    claims = [Claim("Eq. 12 is the loss of Eq. 8, for a batch", "Eq. 12", error < TOLERANCE, f"relative error {error:.1g}")]
    variables = {"x": "∂/∂x̃ᵢ", "own": "∂/∂w̃ of the own class", "other": "∂/∂w̃ of another class"}
    for name, equation in equations(s, beta).items():
        one, printed = error_of_one_sample(equation, batch, s), error_as_printed(equation, batch, s)
        what = variables[equation.variable]
        claims += [
            Claim(f"{name} is {what}, for one sample", name, one < TOLERANCE, f"relative error {one:.1g}"),
            Claim(
                f"{name} is {what}, for a batch, as printed",
                name,
                printed < TOLERANCE,
                f"relative error {printed:.2g}; {error_as_meant(equation, batch, s):.0e} with the sum over those i alone "
                "that it is about",
                "misprint",
            ),
        ]
    factor = common_factor_error(batch, s, beta)
    same = "for one sample, IAM and the scaled softmax have the same solution (read as: parallel gradients)"
    evidence = f"with IAM the gradient is the softmax's times 1 + β p/(1 - p), relative error {factor:.0e}"
    return [*claims, Claim(same, "§3", factor < TOLERANCE, evidence)]


def pushes(batch: Batch, s: float, sample: int) -> bool:
    """Whether Eq. 11 pushes those of a sample's other classes more that are nearer to it."""
    own = int(batch.y[sample])
    others = [j for j in range(len(batch.W)) if j != own]
    size = [float(reference.iam_eq11(batch.x[sample], batch.W, own, j, s).norm()) for j in others]
    cosine = (batch.W[others] @ batch.x[sample]).tolist()
    return bool(np.array_equal(np.argsort(size), np.argsort(cosine)))


def push_ratio_error(batch: Batch, s: float, beta: float) -> float:
    """How far Eq. 14 is from the softmax's push times 1 + β p / (1 - p), over all samples and other classes. Relative."""
    errors = []
    for x, own in zip(batch.x, batch.y.tolist(), strict=True):
        p = reference.iam_p(x, batch.W, own, s)
        for j in range(len(batch.W)):
            if j != own:
                plain, both = (reference.iam_eq14(x, batch.W, own, j, s, weight) for weight in (0.0, beta))
                errors.append(_error((1 + beta * p / (1 - p)) * plain, both))
    return max(errors)


def at_the_end(s: float, beta: float = 0.2, classes: int = 10) -> tuple[float, float]:
    """log(1 - p) at 30 s and the length of Eq. 13 over β s, of a sample on its class weight with all others at 90°."""
    gap = np.array(30 * s - math.log(classes - 1))
    return float(-np.logaddexp(0, gap)), float(size13(1 / (1 + np.exp(-gap)), beta)) / beta


def common_factor_error(batch: Batch, s: float, beta: float) -> float:
    """How far Eq. 12's gradients are from the softmax's times 1 + β p / (1 - p), sample by sample. A relative error."""
    errors = []
    for i in range(len(batch.x)):
        p = reference.iam_p(batch.x[i], batch.W, int(batch.y[i]), s)
        plain = _free_gradients(Equation(1, 0, "x", lambda b, i, j: b.x[i]), batch, s, [i])
        both = _free_gradients(Equation(1, beta, "x", lambda b, i, j: b.x[i]), batch, s, [i])
        factor = 1 + beta * p / (1 - p)
        errors += [_error(factor * softmax, total) for softmax, total in zip(plain, both, strict=True)]
    return max(errors)


# §4.1. The lengths of Eq. 13 and Eq. 14 over s, for one sample of unit length.


def probabilities(
    theta_y: np.ndarray, theta_j: np.ndarray, s: float, classes: int, theta_rest: float = 90
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p, p1 and p2 of a sample at an angle to its class, to one class j, and to all the rest. Degrees."""
    z_y, z_j = (s * np.cos(np.radians(theta)) for theta in (theta_y, theta_j))
    rest = s * math.cos(math.radians(theta_rest)) + (math.log(classes - 2) if classes > 2 else -np.inf)
    others = np.logaddexp(z_j, rest)
    every = np.logaddexp(z_y, others)
    return np.exp(z_y - every), np.exp(z_j - every), np.exp(z_j - others)


def size13(p: np.ndarray, beta: float) -> np.ndarray:
    return np.abs(1 - p + beta * p)


def size14(p1: np.ndarray, p2: np.ndarray, beta: float) -> np.ndarray:
    return np.abs(p1 + beta * p2 - beta * p1)


def pull_to_centre(batch: Batch, s: float, beta: float, pushed: bool = False) -> float:
    """The angle in degrees between the mean of class c's features and where a gradient step would pull its weight.

    With `pushed`, the step counts the samples of other classes too, which push.
    """
    own = [i for i in range(len(batch.x)) if int(batch.y[i]) == batch.c]
    chosen = range(len(batch.x)) if pushed else own
    _, gW = _free_gradients(Equation(1, beta, "own", lambda b, i, j: b.x[i]), batch, s, chosen)
    centre = batch.x[own].mean(dim=0)
    cosine = F.cosine_similarity(-gW[batch.c], centre, dim=0).clamp(-1, 1)
    return math.degrees(float(torch.arccos(cosine)))


def beta_claims(
    s: float = 30.0,
    below: Sequence[float] = (0.1, 0.5, 0.9),
    above: float = 2.0,
    classes: Sequence[int] = (2, 10, CASIA_CLASSES),
    normalised: bool = False,
) -> list[Claim]:
    """What §4.1 says of β, on a grid of angles and for several numbers of classes.

    Arguments:
        below, above: the β that stand for "β < 1" and "β > 1".
        normalised: take the lengths in a head that normalises x and w itself: without the part along w, so times the sine
            of the angle. The paper takes both as free.
    """
    sine = np.sin(np.radians(THETA)) if normalised else np.ones_like(THETA)
    by_own = {C: probabilities(THETA, np.array(60.0), s, C) for C in classes}  # p, p1, p2 over the intra-class angle
    by_other = {C: probabilities(np.array(60.0), THETA, s, C) for C in classes}  # over the inter-class angle
    own = {beta: {C: sine * size13(p, beta) for C, (p, _, _) in by_own.items()} for beta in (0, 1, above)}
    other = {beta: {C: sine * size14(p1, p2, beta) for C, (_, p1, p2) in by_other.items()} for beta in (0, 1, above)}
    alone = max(float(np.ptp(curve)) for curve in own[1].values())
    only_p2 = max(float(np.abs(size14(p1, p2, 1) - p2).max()) for _, p1, p2 in by_own.values())
    near = class_around_its_weight()
    centre = {beta: pull_to_centre(near, s, beta) for beta in (0.0, 1.0)}
    more13 = _ratio([(size13(p, beta), size13(p, 0)) for beta in below for p, _, _ in by_own.values()])
    more14 = _ratio([(size14(p1, p2, beta), p1) for beta in below for _, p1, p2 in by_other.values()])
    always = _ratio([(size13(p, above), size13(p, 0)) for p, _, _ in by_own.values()])
    always14 = _ratio([(size14(p1, p2, above), p1) for _, p1, p2 in by_other.values()])
    return [
        _trend("β = 0: Eq. 13 grows with the intra-class angle", "§4.1, 1)", own[0], +1),
        _trend("β = 0: Eq. 14 grows as the inter-class angle falls", "§4.1, 1)", other[0], -1),
        Claim(
            "β = 1: Eq. 13 depends on x̃ᵢ alone",
            "§4.1, 2)",
            alone < 1e-12,
            f"over all intra-class angles its length changes by {alone:.2g} s",
        ),
        Claim(
            "β = 1: w̃ of the own class can be regarded as the class centre (read as: its samples pull it to their mean)",
            "§4.1, 2)",
            centre[1.0] < 1e-4 < centre[0.0],
            f"{centre[1.0]:.0f}° from the mean of {len(near.x) // 2} samples, {centre[0.0]:.0f}° at β = 0; "
            f"{pull_to_centre(near, s, 1.0, pushed=True):.0f}° with the push of another class",
        ),
        Claim(
            "β = 1: Eq. 14 relates only to x̃ᵢ and pᵢⱼ₂",
            "§4.1, 2)",
            only_p2 < 1e-12,
            f"its length is s pᵢⱼ₂, to {only_p2:.0e}",
        ),
        _trend("β = 1: Eq. 14 grows as the inter-class angle falls", "§4.1, 2)", other[1], -1),
        Claim("β < 1: Eq. 13 is larger than the softmax's", "§4.1, 3)", *more13),
        Claim("β < 1: Eq. 14 is larger than the softmax's", "§4.1, 3)", *more14),
        Claim(
            "Eq. 13 and 14 are larger than the softmax's at β > 1, too: that a gradient is larger sets no limit to β",
            "§4.1, 3)",
            always[0] and always14[0],
            f"at β = {above:g}: {always[1]}; {always14[1]}",
            "observation",
        ),
        _trend("β > 1: Eq. 13 grows with p, and so as the intra-class angle falls", "§4.1, 4)", own[above], -1),
        _trend("β > 1: Eq. 14 falls as the inter-class angle falls", "§4.1, 4)", other[above], +1),
    ]


def class_around_its_weight(samples: int = 12, dim: int = 8, seed: int = 0) -> Batch:
    """Two classes of features around their weights, so wide that p takes many values."""
    generator = torch.Generator().manual_seed(seed)
    W = F.normalize(torch.randn(2, dim, generator=generator, dtype=torch.float64))
    y = torch.arange(2 * samples) % 2
    x = W[y] + 0.5 * torch.randn(2 * samples, dim, generator=generator, dtype=torch.float64)
    return Batch(F.normalize(x), W, y, 0)


def _trend(text: str, source: str, curves: dict[int, np.ndarray], sign: int) -> Claim:
    """The claim that a length rises (or falls) with the angle: for every number of classes with which it moves at all."""
    shares = []
    for curve in curves.values():
        steps = sign * np.diff(curve)
        moves = np.abs(steps) > 1e-12
        shares.append(float(np.mean(steps[moves] > 0)) if moves.any() else math.nan)
    seen = [share for share in shares if not math.isnan(share)]
    counts = ", ".join(f"{C:,}" for C in curves)
    evidence = ", ".join("constant" if math.isnan(share) else f"{share:.0%}" for share in shares)
    return Claim(text, source, bool(seen) and min(seen) == 1, f"with {counts} classes: {evidence} of where it changes")


def _ratio(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[bool, str]:
    """Whether the first is larger, as far as float64 can tell, and by how much."""
    larger = all(bool(np.all(a >= b) and np.any(a > b)) for a, b in pairs)
    ratios = np.concatenate([a / b for a, b in pairs])
    return larger, f"from {ratios.min():.3g}, where p is 0 to rounding, to {ratios.max():.0e} times the softmax's"


def _free_gradients(equation: Equation, batch: Batch, s: float, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
    """By automatic differentiation: of the chosen samples' summed loss, with respect to all x and W, taken as free."""
    x, W = batch.x.clone().requires_grad_(), batch.W.clone().requires_grad_()
    per_sample = losses(x, W, batch.y, s, equation.base, equation.beta)
    gx, gW = torch.autograd.grad(per_sample[list(chosen)].sum(), (x, W))
    return gx, gW


def _error(ours: Tensor, exact: Tensor) -> float:
    return float((ours - exact).abs().max() / exact.abs().max())


GRADIENTS = Item(
    "IAM",
    "Eqs. 9–14",
    notebook="iam/gradients",
    parameters={"scale": 30.0, "beta": 0.2, "equation_scale": 4.0, "betas": (0.0, 0.2, 0.5, 1.0, 2.0)},
    statements=lambda p: equation_claims(random_batch(), p.equation_scale, p.beta) + beta_claims(p.scale),
)
