"""The field's losses side by side: each at its paper's setting, and at the best of as many as every other was given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from marginface.adaptive import AdaCos, AdaFace, AdaptiveFace, CurricularFace, DynArcFace, ElasticFace, MagFace
from marginface.book.papers import choosing
from marginface.book.papers.choosing import Loss
from marginface.book.records import hours, lookup
from marginface.margins import ArcFace, CosFace, InterFace, NormFace, Softmax, SphereFace
from marginface.pairwise import CirclePairLoss, ContrastiveLoss, NPairLoss
from marginface.settings import Annealing
from marginface.spread import MarginalLoss, RangeLoss, UniformFace
from marginface.training.recipes import Recipe
from marginface.variants import CircleLoss, SphereFace2, SphereFaceR, SubCenterArcFace

# how the training set of a test bed may be spoiled, as names of data sets have it, and what pages call it
SPOILED = {"wrong10": "10 % wrong", "wrong30": "30 % wrong", "tail20": "long tail", "each5": "5 images each"}
SPOILED_BEDS = tuple(f"glyphs/{how}" for how in SPOILED)
MANY_BED = f"glyphs/{choosing.TENFOLD}"
THERE = "chosen there"  # what is added to a loss's name at the setting that was chosen on such a set, where that is another
SEEDS = (0,)  # with which candidates are tried: one run each, as whoever tries many settings affords

# times the paper's scale, for a thousand classes want smaller ones than the papers' tens of thousands, and times its margin:
# so ArcFace has 0.3, 0.6 and 0.9, of which 0.6 was best on glyphs before these pages were, and 0.9 by little on faces
SCALES = {"faces": (0.125, 0.25, 0.5), "glyphs": (0.25, 0.5, 1.0)}
MARGINS = (0.6, 1.2, 1.8)
# of test beds, by what `make runs` calls their runs
CHOICES = {"field": tuple(SCALES), "field/spoiled": SPOILED_BEDS, "field/tenfold": (MANY_BED,)}
BASE = "ArcFace"  # what the others are compared with
# what errs least with ten thousand characters at the settings for a thousand, as far as there was time: the setting of these
# and of ArcFace is chosen there, too
FIRST_WITH_MANY = ("ElasticFace-Arc+", "MagFace", "SphereFace2")
AROUND = (0.5, 1.0, 1.5)  # of what has nothing to do with the number of classes
NINE = tuple(2.0 ** (n / 2) for n in range(-8, 1))  # of what has one setting only: 1/16 to 1


@dataclass(frozen=True)
class Method:
    """A loss by how many times its paper's scale `s` and margin `m` it has, and the tables of InterFace's that quote it.

    What has no scale or no margin takes what weighs most in its place. `scales` and `margins` are what is tried, where that is
    not what is tried of all on a test bed. `printed` is the paper's setting, where that is not once each; `otherwise` says
    whether it differs by more than scale and margin, `known` whether one was to be had. `made_for` are ways in which a training
    set is spoiled (see `SPOILED`) that the paper's title or abstract says it is for, `explored` others for which its setting is
    chosen, too; there it is compared with `over`.
    """

    at: Callable[[float, float], Loss]
    quoted: str = ""
    scales: tuple[float, ...] | None = None
    margins: tuple[float, ...] | None = None
    printed: Loss | None = None
    otherwise: bool = False
    known: bool = True
    made_for: tuple[str, ...] = ()
    explored: tuple[str, ...] = ()
    over: str = BASE

    def grid(self, bed: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The scales and the margins that are tried on a test bed, whether its training set is spoiled or not."""
        return self.scales or SCALES[bed.partition("/")[0]], self.margins or MARGINS

    def candidates(self, bed: str) -> tuple[Loss, ...]:
        """What is tried of it on a test bed: nine settings, or one where it has none."""
        return tuple(dict.fromkeys(self.at(s, m) for s, m in product(*self.grid(bed))))

    @property
    def as_printed(self) -> Loss | None:
        """The paper's setting, if it is known."""
        return (self.printed or self.at(1.0, 1.0)) if self.known else None


def _few(value: float) -> float:
    """A setting in as many digits as one would write."""
    return float(f"{value:.3g}")


def _with(base: Loss, *terms: MarginalLoss | RangeLoss | UniformFace) -> Loss:
    return Loss(base.margin, tuple(terms))


METHODS: dict[str, Method] = {
    "Softmax": Method(lambda s, m: Loss(Softmax())),
    "NormFace": Method(lambda s, m: Loss(NormFace(_few(64 * s))), scales=NINE, margins=(1.0,), printed=Loss(NormFace(30.0))),
    "SphereFace": Method(
        lambda s, m: Loss(SphereFace(4, _few(5 / m), _few(64 * s))), printed=Loss(SphereFace(4, Annealing())), otherwise=True
    ),
    "SphereFace-R": Method(lambda s, m: Loss(SphereFaceR(_few(60 * s), _few(1 + 0.4 * m)))),
    # with its authors' code's weight; it stood out with wrong names at the sound set's setting
    "SphereFace2": Method(lambda s, m: Loss(SphereFace2(_few(40 * s), _few(0.4 * m), weight=50.0)), explored=("wrong30",)),
    "CosFace": Method(lambda s, m: Loss(CosFace(_few(64 * s), _few(0.35 * m))), "CosFace"),
    "ArcFace": Method(lambda s, m: Loss(ArcFace(_few(64 * s), _few(0.5 * m))), "Arcface"),
    "InterFace": Method(lambda s, m: Loss(InterFace.cid_ct(scale=_few(64 * s), m=_few(0.5 * m))), "InterFace_cid&ct"),
    "CurricularFace": Method(lambda s, m: Loss(CurricularFace(_few(64 * s), _few(0.5 * m))), "CurricularFace"),
    "AdaFace": Method(lambda s, m: Loss(AdaFace(_few(64 * s), _few(0.4 * m)))),
    # lengths lie between 5 and 55 with 128 numbers as they do between 10 and 110 with the paper's 512; the bound of λ goes with
    # them, with s and with m
    "MagFace": Method(
        lambda s, m: Loss(MagFace(_few(64 * s), _few(0.45 * m), _few(0.8 * m), 5.0, 55.0, _few(17.5 * s * m))),
        "MagFace",
        printed=Loss(MagFace()),
        otherwise=True,
    ),
    "ElasticFace-Arc": Method(lambda s, m: Loss(ElasticFace(_few(64 * s), _few(0.5 * m), 0.05)), "ElasticFace-Arc"),
    "ElasticFace-Cos": Method(lambda s, m: Loss(ElasticFace(_few(64 * s), _few(0.35 * m), 0.05, "cos")), "ElasticFace-Cos"),
    "ElasticFace-Arc+": Method(lambda s, m: Loss(ElasticFace(_few(64 * s), _few(0.5 * m), 0.0175, plus=True))),
    "ElasticFace-Cos+": Method(lambda s, m: Loss(ElasticFace(_few(64 * s), _few(0.35 * m), 0.025, "cos", plus=True))),
    # "… by Large-scale Noisy Web Faces", says the title
    "Sub-center ArcFace": Method(
        lambda s, m: Loss(SubCenterArcFace(_few(64 * s), _few(0.5 * m))), made_for=("wrong10", "wrong30")
    ),
    "AdaCos, fixed": Method(lambda s, m: Loss(AdaCos(dynamic=False))),
    "AdaCos, dynamic": Method(lambda s, m: Loss(AdaCos()), "Dynamic-AdaCos"),
    "Dyn-ArcFace": Method(
        lambda s, m: Loss(DynArcFace(_few(64 * s), _few(0.4 * m), _few(0.2 * m))), "Dyn-arcFace", known=False
    ),
    # where its margins begin is soon forgotten; how large they become is up to λ / s, 10 / 64 in the paper, which is about data
    # that are unbalanced
    "AdaptiveFace": Method(
        lambda s, m: Loss(AdaptiveFace(_few(64 * s), lam=_few(10 * m * s))), "AdaptiveFace", made_for=("tail20",)
    ),
    # with many classes all pairs would take longer than the network; the paper adds it to SphereFace
    "UniformFace": Method(
        lambda s, m: _with(Loss(ArcFace(_few(64 * s), _few(0.5 * m))), UniformFace(1.0, "batch")),
        "UniformFace",
        printed=_with(Loss(SphereFace(4, Annealing())), UniformFace(1.0, "batch")),
        otherwise=True,
    ),
    "CircleLoss": Method(lambda s, m: Loss(CircleLoss(_few(256 * s), _few(0.25 * m))), "CircleLoss", margins=AROUND),
    "CircleLoss, pairs": Method(lambda s, m: Loss(CirclePairLoss(_few(0.4 * m), _few(80 * s))), scales=AROUND, margins=AROUND),
    "Marginal loss": Method(
        lambda s, m: _with(Loss(Softmax()), MarginalLoss(s, margin=_few(0.3 * m))), scales=(0.1, 1.0, 10.0), margins=AROUND
    ),
    # squares of lengths are in the margin and in what the weights weigh, and ours are a tenth as long as the paper's; "… with
    # Long-Tailed Training Data", says the title
    "Range loss": Method(
        lambda s, m: _with(Loss(Softmax()), RangeLoss(_few(5e-5 * s), _few(1e-4 * s), _few(2e4 * m))),
        scales=(3.0, 10.0, 30.0),
        margins=(0.0025, 0.005, 0.01),
        made_for=("tail20",),
        over="Softmax",
    ),
    # the paper names no margin, and has no unit lengths
    "Contrastive loss": Method(
        lambda s, m: Loss(ContrastiveLoss(m)), scales=(1.0,), margins=tuple(n / 5 for n in range(1, 10)), known=False
    ),
    # of cosines, lengths want no penalty
    "N-pair loss": Method(
        lambda s, m: Loss(NPairLoss(0.0, _few(64 * s))), scales=NINE, margins=(1.0,), printed=Loss(NPairLoss()), otherwise=True
    ),
    # of a thousand classes 300, of which some 120 are the batch's: with the paper's tenth there would be hardly any others; its
    # abstract is about long tails, too
    "Partial FC": Method(
        lambda s, m: Loss(ArcFace(_few(64 * s), _few(0.5 * m)), sample_rate=0.3),
        "Partial-FC-ArcFace",
        printed=Loss(ArcFace(), sample_rate=0.1),
        otherwise=True,
        made_for=("tail20",),
    ),
}
# of each method the candidate that errs least on what is set aside, when all were tried, by its scale and its margin: what
# `best` finds, held fast here, so that what is trained does not hang on what is recorded
MATCHED: dict[str, dict[str, tuple[float, float]]] = {
    "faces": {
        "NormFace": (NINE[3], 1.0),
        "SphereFace": (0.25, 0.6),
        "SphereFace-R": (0.5, 1.8),
        "SphereFace2": (0.25, 0.6),
        "CosFace": (0.25, 1.8),
        "ArcFace": (0.25, 1.2),
        "InterFace": (0.25, 1.8),
        "CurricularFace": (0.25, 1.8),
        "AdaFace": (0.25, 1.2),
        "MagFace": (0.25, 1.8),
        "ElasticFace-Arc": (0.25, 1.2),
        "ElasticFace-Cos": (0.25, 1.8),
        "ElasticFace-Arc+": (0.25, 1.2),
        "ElasticFace-Cos+": (0.25, 1.8),
        "Sub-center ArcFace": (0.25, 0.6),
        "Dyn-ArcFace": (0.25, 1.8),
        "AdaptiveFace": (0.25, 1.2),
        "UniformFace": (0.25, 1.8),
        "CircleLoss": (0.125, 1.5),
        "CircleLoss, pairs": (0.5, 1.0),
        "Marginal loss": (10.0, 1.0),
        "Range loss": (3.0, 0.0025),
        "Contrastive loss": (1.0, 1.6),
        "N-pair loss": (NINE[3], 1.0),
        "Partial FC": (0.25, 1.2),
    },
    "glyphs": {
        "NormFace": (NINE[3], 1.0),
        "SphereFace": (0.25, 1.8),
        "SphereFace-R": (0.5, 1.8),
        "SphereFace2": (0.25, 1.2),
        "CosFace": (0.25, 1.2),
        "ArcFace": (0.5, 1.2),
        "InterFace": (0.5, 1.2),
        "CurricularFace": (0.25, 1.2),
        "AdaFace": (0.25, 1.8),
        "MagFace": (0.25, 1.2),
        "ElasticFace-Arc": (0.25, 0.6),
        "ElasticFace-Cos": (0.25, 1.8),
        "ElasticFace-Arc+": (0.25, 1.2),
        "ElasticFace-Cos+": (0.25, 1.8),
        "Sub-center ArcFace": (0.5, 1.8),
        "Dyn-ArcFace": (0.5, 1.8),
        "AdaptiveFace": (0.25, 1.2),
        "UniformFace": (0.25, 1.2),
        "CircleLoss": (0.25, 0.5),
        "CircleLoss, pairs": (0.5, 0.5),
        "Marginal loss": (10.0, 1.0),
        "Range loss": (3.0, 0.005),
        "Contrastive loss": (1.0, 1.8),
        "N-pair loss": (NINE[2], 1.0),
        "Partial FC": (0.25, 1.2),
    },
    "glyphs/wrong10": {"ArcFace": (0.5, 1.8), "Sub-center ArcFace": (0.25, 1.8)},
    "glyphs/wrong30": {"SphereFace2": (0.25, 1.2), "ArcFace": (0.25, 1.8), "Sub-center ArcFace": (0.25, 1.8)},
    "glyphs/tail20": {
        "ArcFace": (0.25, 1.8),
        "AdaptiveFace": (0.5, 1.8),
        "Range loss": (3.0, 0.0025),
        "Partial FC": (0.5, 1.8),
    },
    "glyphs/each5": {"ArcFace": (0.5, 1.8)},
    MANY_BED: {"SphereFace2": (0.25, 1.8), "ArcFace": (0.25, 0.6), "MagFace": (0.25, 1.8), "ElasticFace-Arc+": (0.25, 1.8)},
}


def candidates(bed: str) -> dict[str, tuple[Loss, ...]]:
    """Of every method what is tried on a test bed; with a training set that is spoiled, such as "glyphs/wrong30", of those that
    were made for it or are explored on it; with one ten times as large of `FIRST_WITH_MANY`; and of what they are compared
    with."""
    how = bed.partition("/")[2]
    return {
        name: method.candidates(bed)
        for name, method in METHODS.items()
        if not how or name == BASE or how in method.made_for + method.explored or (bed == MANY_BED and name in FIRST_WITH_MANY)
    }


def matched(bed: str, name: str) -> Loss | None:
    """A method at the setting that was chosen on a test bed; None where nothing was chosen yet."""
    method = METHODS[name]
    only, *others = method.candidates(bed)
    chosen = MATCHED.get(bed, {}).get(name)
    return only if not others else method.at(*chosen) if chosen else None


def matched_there(bed: str, losses: Mapping[str, Loss]) -> dict[str, Loss]:
    """Of methods at some setting those for which another was chosen on a test bed, at that."""
    own = {name: matched(bed, name) for name in losses}
    return {name: loss for name, loss in own.items() if loss is not None and loss != losses[name]}


def at_best(bed: str, profile: str = "book") -> dict[str, Loss]:
    """The methods whose setting is chosen; with profile "smoke", which is to take seconds, a few of them."""
    few = [name for name, method in METHODS.items() if name in (BASE, "Softmax") or method.made_for]
    return {name: loss for name in (few if profile == "smoke" else METHODS) if (loss := matched(bed, name))}


def best(bed: str) -> dict[str, tuple[float, float]]:
    """What `MATCHED` is to have: of each method whose candidates are all recorded the scale and the margin that err least, the
    first of those that err alike."""
    every = candidates(bed)
    known = choosing.standings(bed, every, SEEDS)
    found = {}
    for name, method in METHODS.items():
        if name in every and len(every[name]) == len(known.get(name, {})) > 1:
            found[name] = min(product(*method.grid(bed)), key=lambda pair: known[name][method.at(*pair)])
    return found


def settled() -> str:
    """What `MATCHED` lacks or has otherwise than the recorded runs say, a line each, and which runs are missing for it."""
    told = []
    for page, beds in CHOICES.items():
        for bed in beds:
            found, have = best(bed), MATCHED.get(bed, {})
            told += [f'MATCHED["{bed}"]["{name}"] = {pair}' for name, pair in found.items() if have.get(name) != pair]
            wanted = [name for name, losses in candidates(bed).items() if len(losses) > 1 and name not in found]
            told += [f"{bed}: settings of {', '.join(wanted)} were not all tried: make runs ONLY={page}"] if wanted else []
    return "\n".join(told) or "MATCHED is what the recorded runs say"


def at_ends(bed: str) -> list[str]:
    """The methods whose setting is the smallest or the largest scale or margin that was tried."""
    found = []
    for name, pair in MATCHED[bed].items():
        tried = zip(pair, METHODS[name].grid(bed), strict=True)
        if any(value in (min(values), max(values)) for value, values in tried if len(values) > 1):
            found.append(name)
    return found


def ends(bed: str) -> str:
    """Which methods stand at the end of what was tried, in a sentence."""
    found = at_ends(bed)
    return (
        f"Of {len(MATCHED[bed])} losses {len(found)} err least at the smallest or the largest scale or margin that was tried, "
        f"as eight of nine settings are where three scales meet three margins, and might err less beyond: {', '.join(found)}."
    )


def cost(bed: str) -> str:
    """What trying all settings took, in a sentence."""
    every = [recipe for losses in candidates(bed).values() for loss in losses for recipe in choosing.tried(bed, loss, SEEDS)]
    runs = [run for recipe in every if (run := lookup(recipe))]
    return f"On {bed} {len(runs)} runs were made for it, {hours(runs):.1f} hours of one thread."


def _tried(bed: str) -> list[list[float]]:
    """The errors of all candidates of a loss, the least first, of every loss whose candidates are all recorded."""
    known, every = choosing.standings(bed, candidates(bed), SEEDS), candidates(bed)
    return [sorted(own.values()) for name, own in known.items() if len(own) == len(every[name]) > 1]


def spread(bed: str) -> float | None:
    """The standard deviation of the logarithm of a loss's errors over what was tried of it, the median of losses, for of some
    a setting learns nothing."""
    whole = _tried(bed)
    return float(np.median([np.log(own).std(ddof=1) for own in whole])) if whole else None


def searched(bed: str) -> str:
    """How far the settings of a loss lie apart, in a sentence; the best is that of one run each, so too good by a little."""
    whole = _tried(bed)
    if not whole:
        return ""
    middle, worst = (float(np.median([own[place] / own[0] for own in whole])) for place in (len(whole[0]) // 2, -1))
    return (
        f"Of the nine settings of a loss, tested on what is set aside, the one in the middle errs {100 * (middle - 1):.0f} % "
        f"more than the best, and the worst {worst:.1f} times as much (the median of {len(whole)} losses)."
    )


def choices(seeds: Sequence[int] | None = None) -> dict[str, list[list[Recipe]]]:
    """What is to be run for the choices, by what `make runs` calls it."""
    wanted = SEEDS if seeds is None else seeds
    return {page: choosing.rounds({bed: candidates(bed) for bed in beds}, wanted) for page, beds in CHOICES.items()}


def table(bed: str) -> pd.DataFrame:
    """What was tried on people or characters set aside."""
    return choosing.table({bed: candidates(bed)}, matched, SEEDS)
