"""PAM Table 2: PAM on AM-Softmax, beside the losses that it is to outperform, on pairs and on videos."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pandas as pd

from marginface.book import comparison, effects, published
from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import bases
from marginface.book.papers.bases import FIVE_SEEDS, LAMBDA, LAMBDAS, START, with_pam
from marginface.book.papers.choosing import ON_GLYPHS, PARAMETERS
from marginface.regularizers import Fresh
from marginface.training.recipes import RECIPES, Recipe

# what the table calls the losses, and ours
COMPARED = {"Softmax": "Softmax", "L-Softmax": "L-Softmax", "A-Softmax": "SphereFace", "AM-Softmax": "CosFace"}
OVER = tuple(reversed(COMPARED))  # the related methods
METHODS = {"L-Softmax": "ICML16' L-Softmax", "A-Softmax": "CVPR17' A-Softmax"}
VIDEOS = "templates TAR@FAR=0.0001"  # the mean of some images of a person against that of others plays YTF
BENCHMARKS = {"pairs": "LFW", "videos": "YTF"}


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Four losses without PAM, and both versions with every λ, which is 0 up to `start_step`."""
    if chosen.profile == "paper":
        named = {"Softmax": "softmax", "AM-Softmax": "am-softmax", "PAM v1, λ = 1": "v1", "PAM v2, λ = 1": "v2"}
        return {name: Row(RECIPES[f"pam/{key}-vgg2"], {"method": _method(name)}) for name, key in named.items()}
    recipe, losses, _ = bases.of(chosen)
    found = {name: Row(losses[ours].on(recipe), {"method": _method(name)}) for name, ours in COMPARED.items()}
    for version in (1, 2):
        for weight in chosen.weights:
            loss = with_pam(losses["CosFace"], version, weight, chosen.start_step)
            found[_pam(version, weight)] = Row(loss.on(recipe), {"method": f"PAM loss v{version}"})
    return found


def fixed(results: Results) -> dict[int, str]:
    """Of each version the row that is judged: λ as chosen on people or characters set aside, where that λ was asked for."""
    chosen = {1: 1.0, 2: 1.0} if results.settings.profile == "paper" else LAMBDA[bed_of(results.settings.data)]
    rows = {version: _pam(version, weight) for version, weight in chosen.items()}
    return {version: row for version, row in rows.items() if row in results.rows}


def measures(results: Results) -> dict[str, tuple[str, ...]]:
    """Pairs, and what plays the part of videos."""
    pairs = tuple(test for test in ("LFW",) if test in results.tests) or tuple(results.tests)
    metrics = [run.metrics for group in results.runs.values() for run in group]
    videos = bool(metrics) and all(VIDEOS in each for each in metrics)
    return {"pairs": pairs} | ({"videos": (VIDEOS,)} if videos else {})


def claims(results: Results) -> list[Above]:
    """§4.2: on LFW both versions outperform AM-Softmax, to which they are added, A-Softmax, L-Softmax and Softmax; on YTF the
    first does, where the table has no L-Softmax. At one λ that was fixed beforehand."""
    found, table = [], published.table("pam", 2)
    for kind in measures(results):
        rows = [row for version, row in fixed(results).items() if kind == "pairs" or version == 1]
        own = table[table.benchmark == BENCHMARKS[kind]]
        others = [over for over in OVER if over in results.rows and published.value(own, results.rows[over].printed)]
        found += [_above(results, row, over, kind) for row in rows for over in others]
    return found


def explored(results: Results) -> list[Above]:
    """Both versions together, over each other, and the second on videos; AM-Softmax over the others; every other λ."""
    claimed = {claim.text for claim in claims(results)}
    own = list(fixed(results).values())
    apart = trainings(results.rows, *own, "AM-Softmax")
    both = [
        Above(tuple(own), "AM-Softmax", tests, f"PAM over AM-Softmax on {kind}, mean of both versions", among=apart)
        for kind, tests in measures(results).items()
        if len(own) == 2
    ]
    pairs = [(row, over) for row in (*own, "AM-Softmax") for over in OVER if over in results.rows and over != row]
    pairs += [(own[0], own[1])] if len(own) == 2 else []
    pairs += [(row, "AM-Softmax") for row in results.rows if row.startswith("PAM") and row not in own]
    more = [_above(results, row, over, kind) for kind in measures(results) for row, over in pairs]
    return both + [claim for claim in more if claim.text not in claimed]


def left(results: Results) -> str:
    """How much of the learning rate is still to come when λ begins, in a sentence: what PAM has to work with."""
    run = next((group[0] for name, group in results.runs.items() if name.startswith("PAM")), None)
    if run is None:
        return ""
    start, steps = _begin(run.recipe), int(run.provenance["steps"])
    if start >= steps:
        return f"In {steps} steps λ does not begin, and PAM and AM-Softmax are one training."
    theirs = RECIPES["pam/v1-vgg2"]
    assert theirs.steps is not None
    ours, printed = _still_to_come(run.recipe, start, steps), _still_to_come(theirs, _begin(theirs), theirs.steps)
    return (
        f"PAM and AM-Softmax are one training up to step {start} of {steps}, when λ begins; of the learning rate, summed over "
        f"steps, {ours:.1f} % is still to come then, and {printed:.1f} % by the paper's own rates.{_told_apart(results, start)}"
    )


def _told_apart(results: Results, start: int) -> str:
    """Runs that another kind of processor rounds otherwise are other runs, though their seed and their recipe are the same."""
    seeds = together(results, start)
    other = [str(seed) for seed, same in seeds.items() if not same]
    return (
        f" But their losses differ before, by rounding, with seed {', '.join(other)}: run these on one machine."
        if other
        else ""
    )


def together(results: Results, start: int) -> dict[int, bool]:
    """Of every seed whether PAM's runs and AM-Softmax's have the same losses, to the last digit, up to a step."""
    seen: dict[int, set[tuple[float, ...]]] = {}
    for name in trainings(results.runs, "AM-Softmax"):
        for run in results.runs[name]:
            losses = (loss for step, loss in zip(run.curves["step"], run.curves["loss"], strict=True) if step <= start)
            seen.setdefault(run.recipe.seed, set()).add(tuple(losses))
    return {seed: len(losses) == 1 for seed, losses in seen.items()}


def _begin(recipe: Recipe) -> int:
    """The step from which PAM counts."""
    return next(int(dict(term.settings)["start_step"]) for term in recipe.regularizers if isinstance(term, Fresh))


def _still_to_come(recipe: Recipe, start: int, steps: int) -> float:
    """How much of the learning rate, summed over steps, is left, in percent."""
    rates = [recipe.course(step, steps) for step in range(steps)]
    return 100 * sum(rates[start:]) / sum(rates)


def best_lambda(results: Results) -> pd.DataFrame:
    """What a choice on the test set adds, as the paper made it: the λ that errs least there beside the one that was fixed."""
    lines = []
    for kind in measures(results) if results.runs else ():
        for version, row in fixed(results).items():
            every = [name for name in results.rows if name.startswith(f"PAM v{version}")]
            found = dict(zip(every, _over_am(results, every, kind), strict=True))
            best = min(every, key=lambda name: found[name].found.mean)
            lines.append((kind, f"version {version}", row, found[row].difference, best, found[best].difference))
    columns = ["on", "", "fixed beforehand", "over AM-Softmax", "best on the test", "over AM-Softmax, flattered by the choice"]
    return pd.DataFrame(lines, columns=columns)


def _over_am(results: Results, rows: list[str], kind: str) -> list[effects.Effect]:
    return effects.explore([_above(results, row, "AM-Softmax", kind) for row in rows], results.trained)


def _above(results: Results, row: str, over: str, kind: str) -> Above:
    table = published.table("pam", 2)
    own = table[(table.benchmark == BENCHMARKS[kind]) & (table.own_run == 1)]  # what is quoted was trained on something else
    printed = published.change(own, results.rows[row].printed, results.rows[over].printed)
    apart = trainings(results.rows, row, over)
    text = f"{_called(results, row)} over {_called(results, over)} on {kind}"
    return Above(row, over, measures(results)[kind], text, printed, among=apart)


def _called(results: Results, row: str) -> str:
    """A row as claims have it: without its λ where that is the one that is judged, since that differs from bed to bed."""
    return row.partition(",")[0] if row in fixed(results).values() else row


def judged_at(results: Results) -> str:
    """Which rows stand in claims without their λ, in a sentence."""
    told = [" and ".join(fixed(results).values())]
    told += [f"{' and '.join(fixed(there).values())} on {bed}" for bed, there in results.beds.items()]
    return f"PAM v1 and PAM v2 are those with the λ that was chosen: {'; '.join(told)}."


def trainings(every: Iterable[str], *rows: str) -> tuple[str, ...]:
    """Whose spread counts for a claim about some rows. AM-Softmax and PAM on it are one training up to where λ begins: of what
    is said of these alone they are the measure, and elsewhere those that the claim is about stand for all of them."""
    shared = {row for row in every if row == "AM-Softmax" or row.startswith("PAM")}
    if shared.issuperset(rows):
        return tuple(row for row in every if row in shared)
    return tuple(row for row in every if row in rows or row not in shared)


def tabulate(results: Results) -> pd.DataFrame:
    """What is printed beside what was measured, in percent."""
    table, lines = published.table("pam", 2), []
    for name, group in results.runs.items():
        line: dict[str, Any] = {"row": name}
        for benchmark in BENCHMARKS.values():
            value = published.value(table[table.benchmark == benchmark], results.rows[name].printed)
            line[f"{benchmark} printed, %"] = "–" if value is None or pd.isna(value) else f"{value:.2f}"
        for measure in (*results.tests, *measures(results).get("videos", ())):
            line[f"{comparison.title(measure)} measured, %"] = comparison.mean(measure, group)
        lines.append(line)
    return pd.DataFrame(lines)


def _pam(version: int, weight: float) -> str:
    return f"PAM v{version}, λ = {weight:g}"


def _method(name: str) -> str:
    return f"PAM loss {name[4:6]}" if name.startswith("PAM") else METHODS.get(name, name)


TABLE2 = Item(
    "PAM",
    "Table 2",
    notebook="pam/table2",
    parameters={"weights": LAMBDAS, "start_step": START[PARAMETERS["data"]]} | PARAMETERS,
    rows=rows,
    seeds=FIVE_SEEDS,
    claims=claims,
    explored=explored,
    tabulate=tabulate,
    reads=(VIDEOS,),
    beds={"glyphs": Bed(FIVE_SEEDS, ON_GLYPHS | {"start_step": START[ON_GLYPHS["data"]]})},
)
