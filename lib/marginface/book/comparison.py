"""Losses compared on test sets: what several papers' tables ask of runs that differ in the loss alone."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from marginface.book.obtain import Runs
from marginface.data.catalog import GLYPHS, HALF_SPLIT, unspoiled, variant
from marginface.data.files import data_folder, data_root
from marginface.data.typefaces import typefaces
from marginface.evaluation.statistics import estimate
from marginface.training import Run

TESTS = ("LFW", "CFP-FF", "CFP-FP")
LISTS = tuple(f"{test} correct" for test in (*TESTS, "glyphs seen", "glyphs unseen"))  # what of a fixed list was judged rightly


def measures(runs: Runs) -> list[str]:
    """The metrics that all runs have, in the order of the first; not of all pairs, which no paper has, nor of planted noise."""
    first, *others = (run.metrics for group in runs.values() for run in group)
    own = [measure for measure in first if " all pairs " not in measure and not measure.startswith("planted ")]
    return [measure for measure in own if all(measure in metrics for metrics in others)]


def tests_of(runs: Runs) -> list[str]:
    """The verification sets that all runs were tested on, those of the half split first."""
    common = [measure for measure in measures(runs) if "TAR@FAR" not in measure and not measure.endswith(" rank-1")]
    return [test for test in TESTS if test in common] + sorted(set(common) - set(TESTS))


def test_of(measure: str) -> str:
    """The test that a measure is of: "templates" of "templates TAR@FAR=1e-05"."""
    return re.sub(r" (rank-1|TAR@FAR=\S+)$", "", measure)


def title(measure: str) -> str:
    """A measure as a page calls it: "templates TAR@FAR=1e-05" is "templates, TAR at FAR 1e-5"."""
    if "TAR@FAR" in measure:
        return f"{test_of(measure)}, TAR at FAR 1e-{exponent(measure)}"
    return measure.replace(" rank-1", ", rank 1")


def exponent(measure: str) -> int:
    """5 of "templates TAR@FAR=1e-05"."""
    return round(-math.log10(float(measure.split("=")[1])))


def mean(measure: str, runs: list[Run]) -> str:
    """The mean over seeds in percent with its 95 % interval, as far as that can be."""
    found = estimate([100 * run.metrics[measure] for run in runs])
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 100.0)).format()


def mean_of(measures: Sequence[str], factor: float = 100) -> Callable[[Run], float]:
    """What a run has in the mean of some measures, times a factor: 100 for points of percent."""
    return lambda run: factor * float(np.mean([run.metrics[measure] for measure in measures]))


DOUBLES = (("Bart_Hendricks", "Ricky_Ray"), ("Carlos_Beltran", "Raul_Ibanez"))  # pixel-identical files of LFW


def split_counts(half: str, root: str | Path | None = None, suffix: str = "") -> dict[str, int]:
    """What a half split leaves and tests: people, images, who was left out, strangers, and where LFW's doubles are.

    Counted in the protocols where they are at hand, and else as `data/splits.csv` has it from them.

    Arguments:
        half: "first" or "second".
        suffix: the end of a data set's name, such as "/overlap".
    """
    place = data_root(root)
    if place is None or not (place / "protocols").is_dir():
        table = pd.read_csv(data_folder() / "splits.csv").set_index("half").to_dict("index")
        return {str(name): int(count) for name, count in table[half + suffix].items()}
    from marginface.data.faces import half_split

    split = half_split(place, half, **variant(suffix))
    images = list(split.people.values())
    doubles = [name for names in DOUBLES for name in names]
    return {
        "people": len(images),
        "images": sum(map(len, images)),
        "left_out_lfw": split.dropped["LFW"],
        "left_out_cfp": split.dropped["CFP"],
        "in_both": sum({name.split("/")[0] for name in names} == {"lfw", "cfp"} for names in images),
        "tested_people": len(split.probes),
        "strangers": len(split.distractors),
        "doubles_looked_for": sum(name in split.probes for name in doubles),
        "doubles_among_strangers": sum(f"lfw/{name}/{name}_0001.jpg" in split.distractors for name in doubles),
    }


# what is said of a data set with such an end to its name, beside what is said of the same without it
VARIANTS = {
    "/overlap": "With people who are looked for, too, in images that no test shows, it has",
    "/lfw": "Of LFW's images alone it has",
    "/cfp": "Of CFP's images alone it has",
    "/choice": "Where people are set aside to choose on, it has",
}
SPOILED = {
    "wrong": "{} % of the training images have somebody else's label",
    "each": "a class has {} images at most",
    "tail": "classes may have fewer and fewer images, from what the median class has down to 1/{} of it, and two at least",
}


def split_of(data: str, root: str | Path | None = None) -> list[str]:
    """Who is trained on, in sentences; of a variant of a data set the last one is about what is different in it."""
    whole, how = unspoiled(data)
    if how:
        kind, number = how.rstrip("0123456789"), int(how.lstrip("abcdefghijklmnopqrstuvwxyz"))
        return [*split_of(whole, root), f"In `{data}` {SPOILED[kind].format(number)}."]
    if glyphs := GLYPHS.fullmatch(data):
        seen, unseen = ([face for face in typefaces() if face.unseen == kind] for kind in (False, True))
        plain = (
            f"The glyphs are {int(glyphs[1]):,} Chinese characters in up to {len(seen)} typefaces each. No character that is "
            f"trained on is tested, and {len(unseen)} typefaces of other families are for testing alone."
        )
        more = {
            "/overlap": f"In `{data}` the tested characters are trained on, too, in drawings that no test shows.",
            "/choice": f"`{data}` is tested on characters set aside to choose on.",
        }
        return [plain, more[glyphs[3]]] if glyphs[3] else [plain]
    match = HALF_SPLIT.fullmatch(data)
    if match is None:
        return [f"`{data}` is no half of LFW and CFP."]
    found = split_counts(match[1], root)
    sentences = [
        f"The {match[1]} half has {found['people']:,} people with {found['images']:,} images. {found['left_out_lfw']} people "
        f"of LFW and {found['left_out_cfp']} of CFP were left out because the other set tests on them; "
        f"{found['in_both']} are in "
        "both sets and count as one person each. Nobody who is trained on is in a test pair of either set."
    ]
    if suffix := match[3]:
        own = split_counts(match[1], root, suffix)
        sentences.append(f"{VARIANTS[suffix]} {own['people']:,} people with {own['images']:,} images.")
    return sentences
