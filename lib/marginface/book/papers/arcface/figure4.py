"""ArcFace Figure 4: target logits as curves (a), and what becomes of them (b) and of θ (c) while networks train."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import glyphs
from marginface.book.papers.arcface import curves, table7
from marginface.book.papers.arcface.varied import SEEDS
from marginface.book.papers.faces import FACES
from marginface.book.verdicts import Claim, Verdict, of_claims
from marginface.margins import ArcFace, Margin
from marginface.settings import first
from marginface.training import Run

Floats = NDArray[np.float64]

DRAWN = ("Softmax", "CosFace", "ArcFace")
WITH_MARGIN = DRAWN[1:]
START, END = 0, -1  # twentieths of a run
NEARLY, HARDLY = 0.95, 0.05  # shares that are read as "almost all" and "seldom"
CENTRE, LARGEST, ABOVE = 5.0, 105.0, 0.001  # degrees from 90 at most; and the share that may lie above 105°
LOW, HIGH = 35.0, 40.0


def degrees(run: Run) -> Floats:
    """The middles of the bins in which a record counts θ, (B,)."""
    bins = run.arrays["theta_histogram"].shape[1]
    return (np.arange(bins) + 0.5) * 180 / bins


def shares(run: Run) -> Floats:
    """How θ_y of the training images is spread in each twentieth of the run that had a step, (20, B), each adding up to 1."""
    counts = run.arrays["theta_histogram"].astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    return (counts / np.maximum(total, 1))[total[:, 0] > 0]


def mean_angle(run: Run, stretch: int = END) -> float:
    """The mean θ_y in a twentieth of a run, in degrees."""
    return float(shares(run)[stretch] @ degrees(run))


def target_logits(run: Run) -> Floats:
    """The mean target logit T(θ_y) over its scale in each twentieth of a run, (20,)."""
    assert isinstance(run.recipe.margin, Margin)
    return shares(run) @ curves.target_logit(run.recipe.margin, degrees(run))


def short_of_one(run: Run, stretch: int) -> float:
    """How much the mean target logit lacks of 1, its largest value."""
    return 1 - float(target_logits(run)[stretch])


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Three rows of Table 7; with profile "paper" on the network of §2.8."""
    found = table7.rows(SimpleNamespace(**{**table7.TABLE7.parameters, **vars(chosen)}))
    if chosen.profile == "paper":
        return {name: replace(found[name], recipe=replace(found[name].recipe, backbone="LResNet34E-IR")) for name in DRAWN}
    return {name: found[name] for name in DRAWN}


def claims(results: Results) -> list[Above]:
    """What §2.8 says of ArcFace beside CosineFace in (b) and (c)."""
    sentences = (
        ("ArcFace's margin penalty “is heavier than that of CosineFace at the beginning”: what T lacks of 1", START, True),
        ("“At the end of training, ArcFace converges better”: what T lacks of 1", END, False),
    )
    found = [
        Above("ArcFace", "CosFace", ("θ",), text, larger=larger, value=lambda run, at=at: short_of_one(run, at))  # type: ignore[misc]
        for text, at, larger in sentences
    ]
    return [*found, Above("ArcFace", "CosFace", ("θ",), "and “the histogram of θ is in the left”: mean θ", value=mean_angle)]


def spread(results: Results) -> Floats:
    """How θ_y is spread in each twentieth, the mean over the runs with a margin, (20, B)."""
    return np.mean([shares(run) for name in WITH_MARGIN for run in results.runs[name]], axis=0)


def theta_claims(results: Results, where: str) -> list[Claim]:
    """What §2.8 says of the distributions in (c), of the losses with a margin."""
    angles, p = degrees(results.runs[DRAWN[0]][0]), spread(results)
    centres = p @ angles
    top = float(angles[p[START].argmax()])
    above = float(p[START][angles > LARGEST].sum())
    below60, below30 = (float(p[END][angles < limit].sum()) for limit in (60, 30))
    falling = float((np.diff(centres) < 0).mean()) if len(centres) > 1 else 0.0
    margins = [run.recipe.margin for run in results.runs["ArcFace"]]
    turn = max(180 - math.degrees(first(margin.m)) for margin in margins if isinstance(margin, ArcFace))
    return [
        Claim(
            f"at the start θ has its centre at 90° and its largest angle below 105° ({where})",
            "§2.8, Figure 4 (c)",
            abs(top - 90) <= CENTRE and above < ABOVE,
            f"most are at {top:.0f}° in the first twentieth, {above:.2%} above 105°",
        ),
        Claim(
            f"the rising part of ArcFace's curve “is almost never reached during training” ({where})",
            "§2.8",
            bool(p[:, angles > turn].sum() == 0),
            f"it begins at {turn:.1f}°; the largest angle is below {angles[p.sum(axis=0) > 0].max() + 1:.0f}°",
        ),
        Claim(
            f"the centres “gradually move from 90° to 35° – 40°” ({where})",
            "§2.8, Figure 4 (c)",
            falling >= NEARLY and LOW <= centres[END] <= HIGH,
            f"from {centres[START]:.0f}° to {centres[END]:.0f}° on average, falling in {falling:.0%} of the steps between",
        ),
        Claim(
            f"“almost all of the θs are smaller than 60° at the end” ({where})",
            "§2.8, Figure 4 (c)",
            below60 >= NEARLY,
            f"{below60:.1%} are",
        ),
        Claim(
            f"θ < 30° “is seldom reached even at the end of training” ({where})",
            "§2.8, Figure 4 (c)",
            below30 <= HARDLY,
            f"{below30:.1%} of the angles of the last twentieth",
        ),
    ]


def everywhere(results: Results) -> list[Claim]:
    """`theta_claims` on each test bed that has runs."""
    beds = {"": results} | {bed: there for bed, there in results.beds.items() if there.runs}
    return [claim for bed, there in beds.items() for claim in theta_claims(there, bed or "faces")]


def judge(results: Results) -> Verdict:
    """The curves of (a), the distributions of (c), and ArcFace beside CosineFace."""
    assert FIGURE4.statements is not None
    held = ("holds", "smaller than printed")
    compared = [Claim(each.told, "§2.8", each.word in held, each.judged) for each in results.judged()]
    return of_claims([*FIGURE4.statements(results.settings), *everywhere(results), *compared], "recorded runs")


def tabulate(results: Results) -> pd.DataFrame:
    """Where θ and the target logit begin and end, the mean over runs."""
    lines = []
    for name, group in results.runs.items():
        line: dict[str, str] = {"loss": name}
        for title, at in (("start", START), ("end", END)):
            p = np.mean([shares(run)[at] for run in group], axis=0)
            angles = degrees(group[0])
            line[f"θ at the {title}"] = f"{p @ angles:.1f}°"
            line[f"T at the {title}"] = f"{np.mean([target_logits(run)[at] for run in group]):+.3f}"
            if at == END:
                line |= {"below 60°": f"{p[angles < 60].sum():.1%}", "below 30°": f"{p[angles < 30].sum():.1%}"}
        lines.append(line)
    return pd.DataFrame(lines)


FIGURE4 = Item(
    "ArcFace",
    "Figure 4",
    notebook="arcface/figure4",
    parameters={"m_arcface": 0.5, "m_cosface": 0.35, "data": FACES.data, "epochs": FACES.epochs},
    rows=rows,
    seeds=SEEDS,
    statements=lambda p: curves.figure4_claims(curves.figure4(p.m_arcface, p.m_cosface)),
    claims=claims,
    judge=judge,
    tabulate=tabulate,
    reads=("theta_histogram",),
    beds={"glyphs": Bed(range(10), {"data": glyphs.GLYPHS.data, "epochs": glyphs.GLYPHS.epochs})},
)
