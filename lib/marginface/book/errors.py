"""What decides a comparison: one measure of error for each test bed, and how it hangs on the people who are tested."""

import numpy as np
from numpy.typing import NDArray

from marginface.data.catalog import CLASSIFICATION
from marginface.evaluation.placements import Placements
from marginface.evaluation.searches import Search
from marginface.training import Run

Floats = NDArray[np.float64]

# fixed before anything was judged, by how well a measure tells recipes apart over seeds on people of the training half:
# where records have all pairs of a test, what decides is this of all pairs, and else what the paper's own test measures
DECIDES = {"faces": "AUC", "glyphs": "TAR@FAR=1e-04", "digits": "accuracy"}
CFP_FOLD, CFP_EACH = 350, 7  # genuine and then impostor pairs of a fold of CFP, seven in a row of each of its 50 people
SAME_PEOPLE = {"CFP-": "CFP", "glyphs ": "glyphs"}
NEIGHBOURS = {"LFW": 7, "identification": 90}  # pairs stand person by person; a probe's person has at most 10 · 9 of them


def bed_of(data: str) -> str:
    """The test bed that a data set belongs to: one of `DECIDES`."""
    if data in CLASSIFICATION:
        return "digits"
    return "glyphs" if data.startswith("glyphs/") else "faces"


def deciding(measure: str, runs: list[Run]) -> str:
    """What decides a comparison of runs of one test bed on a test, or on a measure that a paper's table has."""
    wanted = f"{measure} all pairs {DECIDES[bed_of(runs[0].recipe.data)]}"
    return wanted if all(wanted in run.metrics for run in runs) else measure


def is_angle(measure: str) -> bool:
    """Whether a measure is an angle in degrees, and no share of what was judged rightly."""
    return measure.endswith("_angle")


def error(run: Run, measure: str) -> float:
    """The share of errors, or an angle. Where there is no error at all, half an error, so that it has a logarithm.

    Raises: ValueError for a run without the measure, and where it has no error and does not say of how many.
    """
    if measure not in run.metrics:
        raise ValueError(f"a run has no {measure!r}, but {', '.join(run.metrics)}")
    value = run.metrics[measure] if is_angle(measure) else 1 - run.metrics[measure]
    if value > 0:
        return value
    trials = _trials(run, measure)
    if trials is None:
        raise ValueError(f"{measure!r} is without an error, of nobody knows how many")
    return 0.5 / trials


def influence(run: Run, measure: str) -> tuple[str, Floats] | None:
    """Who is tested, by a name that tests of the same people share, and what each group of them adds to the deviation of the
    logarithm of the error, (G,); None for a measure of which nothing is kept.

    Of records without all pairs these are the pairs by person as far as the list's order shows it.
    """
    found = _all_pairs(run, measure)
    if found is not None:
        test, placements = found
        kind = measure.removeprefix(f"{test} all pairs ")
        moved = placements.auc_influence() if kind == "AUC" else placements.tar_influence(float(kind.split("=")[1]))
        return f"{run.recipe.data}, all of {_people(test)}", moved / error(run, measure)
    if (search := _search(run, measure)) is not None:
        return f"{run.recipe.data}, people looked for", search.influence(measure.rsplit(" ", 1)[1]) / error(run, measure)
    correct = _correct(run, measure)
    if correct is None:
        return None
    wrong = ~correct.astype(bool)
    parts = np.bincount(_owners(measure, len(wrong)), wrong - wrong.mean()) / len(wrong)
    return f"{run.recipe.data}, {_people(measure)}", parts / error(run, measure)


def _people(test: str) -> str:
    """CFP's tests are of the same people, and those of seen and unseen typefaces of the same characters."""
    return next((same for start, same in SAME_PEOPLE.items() if test.startswith(start)), test)


def _correct(run: Run, measure: str) -> np.ndarray | None:
    return run.arrays.get("test_correct" if measure == "accuracy" else f"{measure} correct")


def _all_pairs(run: Run, measure: str) -> tuple[str, Placements] | None:
    test, of_all, _ = measure.partition(" all pairs ")
    if not of_all:
        return None
    name = f"{test} all pairs "
    parts = {key.removeprefix(name): array for key, array in run.arrays.items() if key.startswith(name)}
    return test, Placements.of(parts)


def _search(run: Run, measure: str) -> Search | None:
    name = f"{measure.rsplit(' ', 1)[0]} "
    parts = {
        key.removeprefix(name): run.arrays[key] for key in (f"{name}people", f"{name}cmc", f"{name}roc") if key in run.arrays
    }
    return Search.of(parts) if parts else None


def _trials(run: Run, measure: str) -> int | None:
    """How many judgements a share is of; an AUC's are couples of a genuine and an impostor pair."""
    if (found := _all_pairs(run, measure)) is not None:
        genuine = int(found[1].genuine.sum())
        return genuine * found[1].impostor_pairs if measure.endswith(" AUC") else genuine
    if (search := _search(run, measure)) is not None:
        return int(search.pairs.sum())
    correct = _correct(run, measure)
    return None if correct is None else len(correct)


def _owners(measure: str, pairs: int) -> NDArray[np.int64]:
    """(P,) the cluster of a pair: in CFP its left image's person, in a list that goes by people its neighbours, else itself."""
    place = np.arange(pairs)
    if measure.startswith("CFP-") and pairs % (2 * CFP_FOLD) == 0:
        return place // (2 * CFP_FOLD) * (CFP_FOLD // CFP_EACH) + place % CFP_FOLD // CFP_EACH
    return place // next((many for test, many in NEIGHBOURS.items() if measure.split(" ")[0] == test), 1)
