"""ArcFace Figures 5 and 6: wrong names, and distractors that show who is looked for, planted where the truth is known."""

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import comparison
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers.arcface import table7, table11
from marginface.book.verdicts import Claim, Verdict, of_claims
from marginface.data.files import data_folder
from marginface.data.planted import DOUBLES, MANY, WRONG_NAMES
from marginface.training import Run

LABELS, NAMES, SEARCH = ("planted labels few", "planted labels many"), "planted names", "planted identification"
RANKED = 0.95  # how often a wrong face is further from the centre than a right one, for "ranked by the distance" to find it
ABOUT_ONE, ABOUT_FIFTEEN = (0.5, 1.5), (10.0, 20.0)  # points of rank 1 that "about 1%" and "about 15%" are read as


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The losses of Table 11 as they are before triplets, and what needs no training."""
    trained = {name: row for name, row in table11.rows(chosen).items() if name in table11.MARGINS}
    return trained if chosen.profile == "paper" else table7.baselines(chosen.data) | trained


def lists() -> pd.DataFrame:
    """What the public lists of noise name: lines, different images, and how many people or users these are of."""
    table = pd.read_csv(data_folder() / "noise_lists.csv")
    who = [f"{count} {kind}" for count, kind in zip(table.named, table.counted, strict=True)]
    shown = table.assign(who=who)[["list", "lines", "distinct", "who"]]
    return shown.rename(columns={"list": "list of", "distinct": "different images", "who": "of"})


def expected_loss(doubles: float) -> float:
    """The share of pairs that lose rank 1 to so many doubles a person, spread by chance, each as near as the mate is.

    With k doubles the mate is the first of k + 1 equals in one case of k + 1, and k is Poisson distributed.
    """
    return 0.0 if doubles == 0 else 1 + math.expm1(-doubles) / doubles


def doubles_for(loss: float) -> float:
    """How many doubles a person would cost that share of pairs."""
    from scipy.optimize import brentq

    return float(brentq(lambda doubles: expected_loss(doubles) - loss, 1e-9, 50))


def chance(loss: float = 0.15) -> pd.DataFrame:
    """What 707 doubles of 530 people would cost, and how many would cost what the paper prints, where chance spreads them."""
    lines = [(f"{DOUBLES:.2f}", f"{expected_loss(DOUBLES):.0%}"), (f"{doubles_for(loss):.2f}", f"{loss:.0%}")]
    return pd.DataFrame(lines, columns=["doubles a person", "pairs that lose rank 1"])


def gain(run: Run, kind: str) -> float:
    """How many points of rank 1 come from taking away the wrong names ("names"), or the doubles after them ("doubles")."""
    names = run.metrics[f"{NAMES} rank-1"]
    with_doubles, without = run.metrics[f"{SEARCH} rank-1"], run.metrics[f"{NAMES}(R) rank-1"]
    return 100 * (without - names if kind == "names" else names - with_doubles)


def _mean(results: Results, value: Callable[[Run], float] | None, measure: str = "") -> tuple[float, float, float]:
    """The mean over the trained rows' runs, the least and the most."""
    runs = [run for group in results.trained.values() for run in group]
    found = [value(run) if value is not None else run.metrics[measure] for run in runs]
    return float(np.mean(found)), min(found), max(found)


def claims5(results: Results, where: str) -> list[Claim]:
    """What the text to Figure 5 says, of one test bed."""
    mean, least, _ = _mean(results, None, f"{LABELS[0]} AUC")
    found, *_ = _mean(results, None, f"{LABELS[0]} found")
    points, low, high = _mean(results, partial(gain, kind="names"))
    return [
        Claim(
            f"“we rank all of the faces according to the cosine distance to the identity centre”, and wrong faces are far "
            f"from it ({where})",
            "§3.1.3, Figure 5",
            mean >= RANKED,
            f"a wrong face is further than a right one in {mean:.1%} of the cases (at least {least:.1%}); among as many faces "
            f"as are wrong, the furthest, {found:.0%} are",
        ),
        Claim(
            f"a right face in place of the noisy ones increases “the identification accuracy by about 1%” ({where})",
            "§3.1.3",
            ABOUT_ONE[0] <= points <= ABOUT_ONE[1],
            f"{points:.2f} points of rank 1 ({low:.2f} to {high:.2f}) with {WRONG_NAMES:.2%} of the faces under a wrong name",
        ),
    ]


def claims6(results: Results, where: str) -> list[Claim]:
    """What the text to Figure 6 says, of one test bed."""
    points, low, high = _mean(results, partial(gain, kind="doubles"))
    tar, *_ = _mean(results, _tar_gain)
    return [
        Claim(
            f"faces of FaceScrub's people among the distractors cost identification “about 15%” ({where})",
            "§3.1.3",
            ABOUT_FIFTEEN[0] <= points <= ABOUT_FIFTEEN[1],
            f"{points:.1f} points of rank 1 ({low:.1f} to {high:.1f}) with {DOUBLES:.2f} doubles a person",
        ),
        Claim(
            f"verification is as good with them as without, as four of seven rows of Table 9 print it ({where})",
            "Table 9",
            abs(tar) < 0.005,
            f"TAR at FAR 1e-6 rises by {100 * tar:.1f} points when noise is taken away",
            "observation",
        ),
    ]


def _tar_gain(run: Run) -> float:
    return run.metrics[f"{SEARCH}(R) TAR@FAR=1e-06"] - run.metrics[f"{SEARCH} TAR@FAR=1e-06"]


def everywhere(number: int, results: Results) -> list[Claim]:
    """The claims of Figure 5 or 6 on each test bed that has runs."""
    beds = {"faces": results} | {bed: there for bed, there in results.beds.items() if there.runs}
    return [claim for bed, there in beds.items() for claim in (claims5 if number == 5 else claims6)(there, bed)]


def judge(number: int, results: Results) -> Verdict:
    """From `everywhere`."""
    return of_claims(everywhere(number, results), "recorded runs")


def tabulate(number: int, results: Results) -> pd.DataFrame:
    """What each row finds of the noise, or loses by it, in percent: the mean over seeds with its 95 % interval."""
    lines = []
    for name, group in results.runs.items():
        line = {"embeddings": name}
        if number == 5:
            for test, rate in zip(LABELS, (WRONG_NAMES, MANY), strict=True):
                line[f"found, {rate:.1%} wrong"] = comparison.mean(f"{test} found", group)
                line[f"further than a right one, {rate:.1%} wrong"] = comparison.mean(f"{test} AUC", group)
            line["rank 1 with wrong names"] = comparison.mean(f"{NAMES} rank-1", group)
        else:
            line["rank 1 with doubles and wrong names"] = comparison.mean(f"{SEARCH} rank-1", group)
            line["TAR at FAR 1e-6"] = comparison.mean(f"{SEARCH} TAR@FAR=1e-06", group)
            line["TAR without noise"] = comparison.mean(f"{SEARCH}(R) TAR@FAR=1e-06", group)
        line["rank 1 without noise"] = comparison.mean(f"{NAMES}(R) rank-1", group)
        lines.append(line)
    return pd.DataFrame(lines)


def _item(number: int) -> Item:
    like = table11.TABLE11
    return Item(
        "ArcFace",
        f"Figure {number}",
        notebook=f"arcface/figure{number}",
        parameters=like.parameters,
        rows=rows,
        seeds=like.seeds,
        judge=partial(judge, number),
        tabulate=partial(tabulate, number),
        beds={bed: Bed(there.seeds, there.settings) for bed, there in like.beds.items()},
        needs=(*LABELS, NAMES, SEARCH),
    )


FIGURE5, FIGURE6 = _item(5), _item(6)
