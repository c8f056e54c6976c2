"""InterFace: the decision boundaries of Figure 1, and what f does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marginface.book.items import Item
from marginface.book.parameters import OneOf
from marginface.book.verdicts import Claim
from marginface.heads import MarginHead
from marginface.margins import ArcFace, InterFace, Margin
from marginface.settings import Radians

# directions of three class weights in the plane, in degrees: the middle one is nearer to the first than to the third
CENTRES = (40.0, 90.0, 170.0)
BETWEEN = np.linspace(30, 180, 151)  # angles between two class weights, in degrees


def figure1(m: float = 0.5, alpha: float = 0.1, sign: str = "paper") -> dict[str, Margin]:
    """The losses of Figure 1: ArcFace, and the three parameter sets of InterFace."""
    options = {"m": m, "alpha": alpha, "sign": sign}
    return {
        "ArcFace": ArcFace(m=m),
        "InterFace cid&ct": InterFace.cid_ct(**options),
        "InterFace did&ct": InterFace.did_ct(**options),
        "InterFace did&dt": InterFace.did_dt(**options),
    }


def boundary(margin: Margin, between: np.ndarray) -> np.ndarray:
    """How far from its own class weight, towards another, a sample may lie until both score the same; degrees.

    The sample is on the arc between two class weights that are `between` degrees apart, so θ_y + θ_j = between, and the
    boundary is where T(θ_y) = U(θ_j), found by bisection. NaN where the margin is wider than the arc.
    """
    arc = torch.from_numpy(np.radians(between))[:, None]

    def leads(own: Tensor) -> Tensor:
        return margin.target(own.cos()) >= margin.others((arc - own).cos(), margin.shift(own.cos(), arc.cos()))

    low, high = torch.zeros_like(arc), arc / 2
    exists = leads(low)
    for _ in range(50):
        middle = (low + high) / 2
        ahead = leads(middle)
        low, high = torch.where(ahead, middle, low), torch.where(ahead, high, middle)
    return np.degrees(torch.where(exists, low, torch.nan)[:, 0].numpy())


def widths(margin: Margin, between: np.ndarray = BETWEEN) -> np.ndarray:
    """θ_j - θ_y on the boundary, for class weights at these angles: the width of the margin in degrees."""
    return between - 2 * boundary(margin, between)


def figure1_table(losses: dict[str, Margin]) -> pd.DataFrame:
    """The margin of the middle class towards its two neighbours, in degrees."""
    near, far = CENTRES[1] - CENTRES[0], CENTRES[2] - CENTRES[1]
    lines = [(name, *(f"{w:.2f}" for w in widths(margin, np.array([near, far])))) for name, margin in losses.items()]
    columns = ["loss", f"towards class 1, {near:.0f}° away", f"towards class 3, {far:.0f}° away"]
    return pd.DataFrame(lines, columns=columns)


def figure1_claims(losses: dict[str, Margin]) -> list[Claim]:
    """The caption of Figure 1: one margin for all classes, or one for each."""
    all_widths = {name: widths(margin) for name, margin in losses.items()}
    claims = []
    for name, width in all_widths.items():
        spread = float(np.nanmax(width) - np.nanmin(width))
        evidence = f"{np.nanmin(width):.2f}° to {np.nanmax(width):.2f}° for class weights 30° to 180° apart"
        if name == "ArcFace":
            claims.append(Claim("ArcFace: the same margin towards every class", "Fig. 1 (a)", spread < 1e-3, evidence))
        else:
            text = f"{name}: “class 2 adds decision boundary of different sizes to class 1 and class 3”"
            margin = losses[name]
            if isinstance(margin, InterFace) and margin.d_inter is not None:
                evidence += "; d_inter is constant, and f differs only because θ does on each boundary"
            claims.append(Claim(text, "Fig. 1 (b)", spread > 1e-3, evidence))
    return [*claims, *_caption()]


def _caption() -> list[Claim]:
    return [
        Claim(
            "“In (a) arcface, class 2 adds decision boundary of the same size as class 1 and class 2”",
            "Fig. 1, caption",
            False,
            "class 1 and class 3 are its neighbours",
            "misprint",
        ),
        Claim(
            "“In (b) InterFace, class 2 adds the same small decision boundary to class 1 and class 3”",
            "Fig. 1, caption",
            False,
            "the next sentence has “different sizes”, which is what (b) is to show",
            "misprint",
        ),
    ]


# the three parameter sets; of the last, b = 10 has no unit in the paper: radians, as d_inter = π/2, or degrees, as in the code
SETS: dict[str, InterFace] = {
    "cid&ct": InterFace.cid_ct(),
    "did&ct": InterFace.did_ct(),
    "did&dt, b = 10 rad": InterFace.did_dt(b=Radians(10)),
    "did&dt, b = 10°": InterFace.did_dt(),
}


def shift_degrees(margin: InterFace, own: np.ndarray, between: float = 90.0) -> np.ndarray:
    """f in degrees, of samples at these angles from their class weight, with class weights `between` degrees apart."""
    cosine = torch.from_numpy(np.cos(np.radians(own)))[:, None]
    centre = torch.full_like(cosine, np.cos(np.radians(between)))
    return np.degrees(margin.shift(cosine, centre)[:, 0].numpy())


def sign_table(between: float = 90.0) -> pd.DataFrame:
    """Where f as printed changes its sign, and what it is for an easy and a hard sample, in degrees."""
    own = np.linspace(0, 180, 18_001)
    lines = []
    for name, margin in SETS.items():
        f = shift_degrees(margin, own, between)
        turn = f"θ < {own[f > 0].max():.1f}°" if f.min() <= 0 else "every θ"
        ends = [f"{shift_degrees(margin, np.array([angle]), between)[0]:+.2f}°" for angle in (0.0, 40.0, 90.0)]
        lines.append((name, turn, *ends))
    return pd.DataFrame(lines, columns=["parameters", "f as printed > 0 for", "f at θ = 0°", "f at 40°", "f at 90°"])


def units_table(betweens: tuple[float, ...] = (30.0, 60.0, 90.0, 120.0)) -> pd.DataFrame:
    """e^-t of did&dt with b = 10 to 60 read in degrees and in radians, for class weights at these angles."""
    lines = []
    for b in (10, 20, 30, 40, 50, 60):
        row: list[str] = [f"{b}"]
        for value in (np.radians(b), float(b)):
            row += [f"{np.exp(-value / np.radians(between)):.3g}" for between in betweens]
        lines.append(row)
    columns = ["b", *(f"degrees, {angle:.0f}°" for angle in betweens), *(f"radians, {angle:.0f}°" for angle in betweens)]
    return pd.DataFrame(lines, columns=columns)


def gradient_table(seed: int = 0) -> pd.DataFrame:
    """How much the gradient changes when γ and t are differentiated, too: relative, on random embeddings and weights."""
    torch.manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(256, 64, dtype=torch.float64)).requires_grad_()
    y = torch.randint(100, (256,))
    lines = []
    for name, margin in SETS.items():
        head = MarginHead(64, 100, margin).double()
        detached, full = (_gradients(replace(margin, detach=detach), head, x, y) for detach in (True, False))
        lines.append((name, *(f"{float((f - d).norm() / d.norm()):.1%}" for d, f in zip(detached, full, strict=True))))
    return pd.DataFrame(lines, columns=["parameters", "embeddings", "class weights"])


def _gradients(margin: InterFace, head: MarginHead, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    head.margin = margin
    return torch.autograd.grad(head(x, y), [x, head.weight])


FIGURE1 = Item(
    "InterFace",
    "Figure 1",
    notebook="figure1",
    parameters={"m": 0.5, "alpha": 0.1, "sign": OneOf(("paper", "released"))},
    statements=lambda p: figure1_claims(figure1(p.m, p.alpha, p.sign)),
)
