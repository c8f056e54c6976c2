"""The losses that are compared, or that IAM and PAM are added to, each at its best: its setting on each test bed, and what was
tried."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd

from marginface.adjacent import PAM
from marginface.book.errors import bed_of
from marginface.book.papers import choosing, glyphs
from marginface.book.papers.choosing import RECIPES, Loss
from marginface.book.papers.glyphs import MATCHED
from marginface.book.papers.interface.losses import SCALE
from marginface.margins import ArcFace, CosFace, InterFace, L2Softmax, LSoftmax, Margin, NormFace, Softmax, SphereFace
from marginface.regularizers import IAM, CenterLoss, Fresh, RingLoss
from marginface.settings import Annealing
from marginface.training.recipes import IAM_CASIA, PAM_VGG2, Recipe

SEEDS = (0, 1)  # with which candidates are tried
FIVE_SEEDS = [0, 1, 2, 3, 4]
LOWERED = Annealing(decay=1.2)  # λ of L-Softmax, ten times as fast as SphereFace's, for trainings of hundreds of steps
SCALES = {"faces": SCALE, "glyphs": glyphs.SCALE}  # s of IAM on a loss that has none
BETA = 0.8  # of IAM on NormFace: the one with most of Table 3's printed bests
INTERFACE = "InterFace cid&ct"
WITH_IAM = "NormFace with IAM"  # whose scale is chosen, too: another may suit it better than NormFace alone


def with_iam(loss: Loss, beta: float, scale: float) -> Loss:
    """β · IAM added, of plain cosines: with the loss's own s, or with `scale` where it keeps the embeddings' norms."""
    assert isinstance(loss.margin, Margin)
    return loss.plus(IAM(beta) if loss.margin.scale is not None else IAM(beta, scale=scale)) if beta else loss


def _center(weight: float) -> Loss:
    return Loss(Softmax(), (Fresh.of(CenterLoss, weight=weight),))


def _ring(weight: float) -> Loss:
    return Loss(Softmax(), (Fresh.of(RingLoss, weight=weight),))


def _with_iam(s: float) -> Loss:
    return with_iam(Loss(NormFace(s)), BETA, s)


def _plain(*margins: Margin) -> tuple[Loss, ...]:
    return tuple(Loss(margin) for margin in margins)


def _both(s: float, centers: Sequence[float], radii: Sequence[float]) -> dict[str, tuple[Loss, ...]]:
    """What is tried on both test beds."""
    return {
        "Center loss": tuple(_center(weight) for weight in centers),
        "ℓ2": _plain(*(L2Softmax(radius) for radius in radii)),
        "Ring loss": tuple(_ring(weight) for weight in (0.003, 0.01, 0.1)),
        "SphereFace": _plain(
            SphereFace(4, 5.0, s),
            SphereFace(4, 2.0, s),
            SphereFace(2, 1.0, s),
            SphereFace(2, 1.0, s / 2),
            SphereFace(2, 1.0, s / 4),
            SphereFace(4, 5.0),
        ),
        "L-Softmax": _plain(LSoftmax(2), LSoftmax(4), LSoftmax(2, LOWERED), LSoftmax(4, LOWERED)),
        WITH_IAM: tuple(map(_with_iam, (8.0, 16.0, 32.0))),
    }


# scales and margins that ArcFace and InterFace are tried with on faces
ON_FACES = tuple(
    (s, m)
    for s, margins in ((SCALE / 2, (0.5, 0.9)), (SCALE, (0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.1)), (2 * SCALE, (0.3, 0.5, 0.9)))
    for m in margins
)
ON_GLYPHS = ("Softmax", "NormFace", "CosFace", "ArcFace")  # chosen there with the losses of other papers
CANDIDATES: dict[str, dict[str, tuple[Loss, ...]]] = {
    "glyphs": {name: _plain(*glyphs.CANDIDATES[name]) for name in ON_GLYPHS}
    | _both(glyphs.SCALE, (0.003, 0.01, 0.03, 0.1), (4.0, 8.0, 16.0, 32.0)),
    "faces": {
        "Softmax": _plain(Softmax()),
        "NormFace": _plain(*(NormFace(SCALE * part) for part in (0.25, 0.5, 1.0, 2.0))),
        # with s = 16 and 0.35 it is a row of InterFace's tables
        "CosFace": _plain(
            CosFace(SCALE / 2, 0.35), *(CosFace(SCALE, m) for m in (0.1, 0.2, 0.35, 0.5)), CosFace(2 * SCALE, 0.35)
        ),
        "ArcFace": _plain(*(ArcFace(s, m) for s, m in ON_FACES)),
        INTERFACE: _plain(*(InterFace.cid_ct(scale=s, m=m) for s, m in ON_FACES)),
    }
    | _both(SCALE, (0.001, 0.003, 0.01, 0.03), (4.0, 8.0, 16.0, 32.0)),
}
# of each loss the candidate that errs least on what is set aside
CHOSEN: dict[str, dict[str, Loss]] = {
    "glyphs": {name: Loss(MATCHED[name]) for name in ON_GLYPHS}
    | {
        "Center loss": _center(0.03),
        "ℓ2": Loss(L2Softmax(8.0)),
        "Ring loss": _ring(0.01),
        "SphereFace": Loss(SphereFace(2, 1.0, 16.0)),
        "L-Softmax": Loss(LSoftmax(4, LOWERED)),
        WITH_IAM: _with_iam(16.0),
    },
    "faces": {
        "Softmax": Loss(Softmax()),
        "NormFace": Loss(NormFace(SCALE / 2)),
        "CosFace": Loss(CosFace(SCALE, 0.35)),
        "ArcFace": Loss(ArcFace(SCALE, 0.9)),
        INTERFACE: Loss(InterFace.cid_ct(scale=SCALE, m=0.9)),
        "Center loss": _center(0.001),
        "ℓ2": Loss(L2Softmax(8.0)),
        "Ring loss": _ring(0.003),
        "SphereFace": Loss(SphereFace(4, 5.0, SCALE)),
        "L-Softmax": Loss(LSoftmax(2, LOWERED)),
        WITH_IAM: _with_iam(SCALE),
    },
}
# what IAM's paper prints, s = 30 and m = 0.4 of AM-Softmax, and of the others what theirs do
PAPER: dict[str, Loss] = {
    "NormFace": Loss(NormFace(30.0)),
    "CosFace": Loss(CosFace(30.0, 0.4)),
    "ArcFace": Loss(ArcFace(30.0, 0.5)),
    "Center loss": _center(0.003),
    "ℓ2": Loss(L2Softmax(30.0)),
    "Ring loss": _ring(0.01),
    "SphereFace": Loss(SphereFace(4, Annealing())),
}

LAMBDAS = (0.1, 1.0, 10.0, 100.0)  # of PAM, over three decades
# λ is 0 in the first 275 epochs (PAM §4.1), of 360 as our recipe counts them; steps of each recipe, tested where it counts
# and on what is set aside
START = {"lfw+cfp/first/64": 382, "lfw+cfp/first/64/choice": 306, "glyphs/1000/32": 749, "glyphs/1000/32/choice": 749}
LAMBDA: dict[str, dict[int, float]] = {"faces": {1: 0.1, 2: 0.1}, "glyphs": {1: 1.0, 2: 0.1}}  # by version, chosen likewise


def with_pam(loss: Loss, version: int, weight: float, start_step: int) -> Loss:
    return loss.plus(Fresh.of(PAM, weight=float(weight), version=version, start_step=start_step))


def of(chosen: SimpleNamespace, papers: str = "iam") -> tuple[Recipe, Mapping[str, Loss], float]:
    """The recipe, the losses at their settings, and s of IAM where a loss has none; with profile "paper" the paper's."""
    if chosen.profile == "paper":
        return (IAM_CASIA, PAPER, 30.0) if papers == "iam" else (PAM_VGG2, {"CosFace": Loss(CosFace(40.0, 0.3))}, 40.0)
    bed = bed_of(chosen.data)
    return replace(RECIPES[bed], data=chosen.data, epochs=chosen.epochs), CHOSEN[bed], SCALES[bed]


def candidates(bed: str) -> dict[str, tuple[Loss, ...]]:
    """Of every loss that is chosen on a test bed, what it is chosen among; of PAM each λ."""
    start, base = START[f"{RECIPES[bed].data}/choice"], CHOSEN[bed]["CosFace"]
    pam = {f"PAM v{v}": tuple(with_pam(base, v, weight, start) for weight in LAMBDAS) for v in (1, 2)}
    return CANDIDATES[bed] | pam


def choices(seeds: Sequence[int] | None = None) -> dict[str, list[list[Recipe]]]:
    """What is to be run for the choices, by what `make runs` calls it: of the bases, and then of λ, which stands on one."""
    wanted = SEEDS if seeds is None else seeds
    every = {page: {bed: _of_page(page, bed) for bed in RECIPES} for page in ("bases", "lambdas")}
    return {page: choosing.rounds(own, wanted) for page, own in every.items()}


def _of_page(page: str, bed: str) -> dict[str, tuple[Loss, ...]]:
    return {name: losses for name, losses in candidates(bed).items() if name.startswith("PAM") == (page == "lambdas")}


def standings(bed: str) -> dict[str, dict[Loss, float]]:
    """Of every loss its recorded candidates with their mean error."""
    return choosing.standings(bed, candidates(bed), SEEDS)


def at_the_edge(bed: str) -> str:
    """Of which losses a number of the chosen setting is the first or the last that was tried with its others, and by how much
    the one beside it errs more, in a sentence: where that is little, a step further might gain as little."""
    found = []
    for name, known in standings(bed).items():
        chosen = chosen_of(bed, name)
        for number, beside in _at_an_end(known, chosen).items():
            if known[beside] >= known[chosen]:
                found.append(f"{number} of {name} by {100 * (known[beside] / known[chosen] - 1):.1f} %")
    if not found:
        return f"On {bed} no setting is at the edge of what was tried."
    return f"On {bed} these are at the edge of what was tried, and what lies beside them errs more: {', '.join(found)}."


def _at_an_end(tried: Iterable[Loss], chosen: Loss) -> dict[str, Loss]:
    """Of a setting's numbers those that are the first or the last of what was tried, all else equal: the setting beside it."""
    own, found = _settings(chosen), {}
    for name, value in own.items():
        line = {other[name]: loss for loss in tried if {**(other := _settings(loss)), name: None} == {**own, name: None}}
        numbers = sorted(each for each in line if isinstance(each, float | int))
        if len(numbers) > 1 and value in (numbers[0], numbers[-1]):
            found[name] = line[numbers[1 if value == numbers[0] else -2]]
    return found


def _settings(loss: Loss) -> dict[str, Any]:
    """What a margin and the terms added to it are given, by name."""
    return vars(loss.margin) | {name: value for term in loss.added if isinstance(term, Fresh) for name, value in term.settings}


def table(names: Collection[str] | None = None, beds: Collection[str] = tuple(RECIPES)) -> pd.DataFrame:
    """What was tried on people and characters set aside, of some losses or of all."""
    return choosing.table({bed: candidates(bed) for bed in beds}, chosen_of, SEEDS, names)


def chosen_of(bed: str, name: str) -> Loss:
    if name.startswith("PAM v"):
        version, start = int(name[-1]), START[f"{RECIPES[bed].data}/choice"]
        return with_pam(CHOSEN[bed]["CosFace"], version, LAMBDA[bed][version], start)
    return CHOSEN[bed][name]
