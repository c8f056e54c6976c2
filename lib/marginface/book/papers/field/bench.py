"""The bench: the field's losses trained alike, each at its own best, and judged over ArcFace; and at their papers' settings."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import comparison, descriptions, effects, published
from marginface.book.effects import EXPLORED, Above, Effect
from marginface.book.errors import Floats, bed_of, deciding, error
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row, Runs
from marginface.book.papers import choosing
from marginface.book.papers.choosing import AS_PRINTED, ON_GLYPHS, ON_MANY, PARAMETERS, RECIPES
from marginface.book.papers.field import methods
from marginface.book.papers.field.methods import BASE, MANY_BED, MATCHED, METHODS, THERE
from marginface.book.papers.glyphs import TEN_THOUSAND
from marginface.data.catalog import other_half
from marginface.training import recipes

# what says nothing of ArcFace: it came before it or with it, is not for faces, or, as Partial FC, saves time here
APART = (
    *("Softmax", "NormFace", "SphereFace", "CosFace", "Marginal loss", "Range loss", "Contrastive loss", "N-pair loss"),
    *("CircleLoss, pairs", "Partial FC"),
)
KNOWN = 5  # seeds from which on a row's own spread is known well enough
BENCHMARKS = ("LFW", "CFP-FP")  # InterFace's Table VI has them, too


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every method whose setting is chosen, at that, and with ten times as many classes at what was chosen there, too, where
    that is another; with profile "paper" all at their papers' settings, by InterFace's recipe, whose tables quote them."""
    if chosen.profile == "paper":
        base = recipes.RECIPES["interface/arcface-ms1mv2"]
        return {name: Row(loss.on(base), quoted(name)) for name, method in METHODS.items() if (loss := method.as_printed)}
    bed = bed_of(chosen.data)
    base = replace(RECIPES[bed], data=chosen.data, epochs=chosen.epochs)
    best = methods.at_best(bed, chosen.profile)
    found = {name: Row(loss.on(base), quoted(name)) for name, loss in best.items()}
    there = methods.matched_there(MANY_BED, best) if chosen.data == ON_MANY["data"] else {}
    return found | {f"{name}, {THERE}": Row(loss.on(base)) for name, loss in there.items()}


def both_rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The same, and where the paper has another setting the method at that, too."""
    found = rows(chosen)
    for name, best in [*found.items()] if chosen.profile != "paper" else ():
        printed = METHODS[name].as_printed if name in METHODS else None
        if printed is not None and (recipe := printed.on(best.recipe)) != best.recipe:
            found[f"{name}, {AS_PRINTED}"] = Row(recipe, best.printed)
    return found


def quoted(name: str) -> dict[str, str]:
    """The line that InterFace's tables have of a method."""
    return {"method": METHODS[name].quoted} if METHODS[name].quoted else {}


def claims(results: Results) -> list[Above]:
    """Each loss that came after ArcFace over it, both at their best."""
    return [over(results, name) for name in _by_errors(results) if _claimed(results, name)]


def explored(results: Results) -> list[Above]:
    """All others over ArcFace."""
    return [over(results, name) for name in _by_errors(results) if not _claimed(results, name)]


def _claimed(results: Results, name: str) -> bool:
    """Whether a loss is said to err less than ArcFace, and both are at the best of what was tried for as many classes."""
    return name not in APART and _at_their_best(results)


def _at_their_best(results: Results) -> bool:
    """Whether the settings were chosen for this training set, or for the other half of its people."""
    chosen = RECIPES[bed_of(results.settings.data)].data
    return results.settings.data in (chosen, other_half(chosen))


def _by_errors(results: Results) -> list[str]:
    """What is compared with ArcFace, the least errors first."""
    shares = _shares(results)
    return [name for name in sorted(shares, key=lambda name: shares[name]) if name != BASE and BASE in shares]


def as_printed(results: Results) -> pd.DataFrame:
    """Each method at its paper's setting over ArcFace at its paper's, and what its own search was worth; not judged."""
    names = [name for name in METHODS if f"{name}, {AS_PRINTED}" in results.runs]
    return choosing.as_printed(results, names, BASE, lambda row, other: over(results, row, other))


def over(results: Results, name: str, base: str = BASE) -> Above:
    """That a row errs less than another, on all tests."""
    table = published.table("interface", 6)
    own = [table[table.benchmark == test] for test in BENCHMARKS if test in results.tests]
    both = [[published.value(each, results.rows[row].printed) for each in own] for row in (name, base)]
    known = [value for values in both for value in values if value is not None]
    share = published.share(known[: len(own)], known[len(own) :]) if own and len(known) == 2 * len(own) else None
    text = f"{name} over {base}"
    tests, printed = tuple(results.tests), {row.endswith(AS_PRINTED) for row in (name, base)}
    # at printed settings losses scatter more: what is said of the others has nothing of that
    runs = {row: own for row, own in results.runs.items() if len(printed) > 1 or row.endswith(AS_PRINTED) in printed}
    return Above(name, base, tests, text, share, among=pooled((name, base), runs, tests))


def pooled(rows: tuple[str, ...], runs: Runs, tests: Sequence[str]) -> tuple[str, ...]:
    """The rows whose spread says how sure a difference of some is: these alone, for a loss may scatter as others do not. Where
    they have too few seeds to know it, all that learned with every seed; of what did not the spread is no other's. None, which
    stands for all, where one of these is such a row."""
    if min(len(runs[row]) for row in rows) >= KNOWN:
        return rows
    learned = tuple(row for row in runs if max(_logs(runs, row, tests)) < np.log(effects.MANY))
    return learned if set(rows) <= set(learned) else ()


def sentences(found: Sequence[Effect]) -> str:
    """What the figure says, in three sentences: what errs less than ArcFace, what more, and what is known of the rest."""
    judged = [each for each in found if each.word != EXPLORED]
    less = _listed([each for each in judged if each.word in ("holds", "smaller than printed")])
    more = _listed([each for each in judged if each.word == "opposite"])
    absent = _listed([each for each in judged if each.word == "absent here"])
    rest = sum(each.word in ("absent here", "undecided") for each in judged)
    return (
        f"Of {len(judged)} claims that a loss errs less than {BASE} these hold: {less}. It errs more, beyond chance as well: "
        f"{more}. The other {rest} are told from {BASE} in neither way; a change as large as the printed one is excluded of: "
        f"{absent}."
    )


def _listed(found: Sequence[Effect]) -> str:
    """Losses, with the test bed and the effect."""
    names = [each.claim.text.removesuffix(f" over {BASE}") for each in found]
    return "; ".join(f"{name} on {each.bed} {each.difference}" for name, each in zip(names, found, strict=True)) or "none"


def orders(found: Sequence[Effect]) -> str:
    """How alike the losses' orders are on any two test beds, by Spearman's ρ of their effects, with an interval of 95 % (Bonett
    and Wright 2000) in which the losses count as drawn; "" of one test bed."""
    beds = dict.fromkeys(each.bed for each in found)
    means = pd.DataFrame(
        {bed: {each.claim.text: each.found.mean for each in found if each.bed == bed} for bed in beds}
    ).dropna()
    told = []
    for one, two in combinations(beds, 2):
        rho = float(means[one].corr(means[two], method="spearman"))
        width = 1.96 * np.sqrt((1 + rho**2 / 2) / (len(means) - 3))
        low, high = np.tanh(np.arctanh(rho) + np.array([-width, width]))
        told.append(f"{one} ↔ {two} {rho:.2f} [{low:.2f}, {high:.2f}]")
    return f"How alike the orders of {len(means)} losses are, as Spearman's ρ: {'; '.join(told)}." if told else ""


def as_chosen_there(results: Results) -> pd.DataFrame:
    """Each loss whose setting was chosen with ten times as many classes, too, over ArcFace: both at the settings for fewer, and
    both as chosen there; and what choosing there was worth to it. Not judged."""
    lines, chosen = [], any(row.endswith(THERE) for row in results.runs)
    for name in [each for each in MATCHED[MANY_BED] if each in results.runs] if chosen else ():
        own, base = (there if (there := f"{each}, {THERE}") in results.runs else each for each in (name, BASE))
        pairs = [(name, BASE), (own, base), (own, name)]
        found = [effects.explore([over(results, *pair)], results.runs) if pair[0] != pair[1] else [] for pair in pairs]
        lines.append((name, *(each[0].difference if each else "–" for each in found)))
    return pd.DataFrame(lines, columns=["loss", f"over {BASE}, as for a thousand", f"both {THERE}", "what that changes"])


def worth(results: Results) -> str:
    """What the search was worth, in a sentence, of those losses that are as printed in all but scale and margin; "" without
    runs."""
    pairs = [(name, f"{name}, {AS_PRINTED}") for name in _searched(results)]
    if not pairs:
        return ""
    logs = [[float(np.mean(_logs(results.runs, row, results.tests))) for row in pair] for pair in pairs]
    changed = [float(np.expm1(ours - theirs)) for ours, theirs in logs]
    less, more = sum(each < 0 for each in changed), sum(each > 0 for each in changed)
    return (
        f"At its best of nine settings a loss errs {100 * -np.median(changed):.0f} % less than at its paper's, the median of "
        f"{len(pairs)} losses; {less} of them err less, {more} more."
    )


def at_both(results: Results) -> str:
    """How many of the same losses err less and how many more than ArcFace, as printed and at their best, in a sentence; "" with
    fewer than two seeds."""
    names = [name for name in _searched(results) if name != BASE]
    if not names or min(map(len, results.runs.values())) < 2:
        return ""
    told = []
    for how, suffix in ((AS_PRINTED, f", {AS_PRINTED}"), ("at their best", "")):
        base = row if (row := BASE + suffix) in results.runs else BASE
        pairs = [over(results, name + suffix, base) for name in names]
        intervals = [each.interval for each in effects.explore(pairs, results.runs)]
        less, more = sum(high < 0 for _, high in intervals), sum(low > 0 for low, _ in intervals)
        told.append(f"{how} {less} err less and {more} more")
    return f"Of the {len(names)} others, over {BASE}, each by itself beyond chance: {'; '.join(told)}."


def _searched(results: Results) -> list[str]:
    """The losses that are as printed in all but scale and margin, if they have a row so."""
    return [name for name, method in METHODS.items() if not method.otherwise and f"{name}, {AS_PRINTED}" in results.runs]


def tabulate(results: Results) -> pd.DataFrame:
    """Every row's setting and what it has on every test: the mean over seeds with its interval, in percent."""
    lines = []
    for name, group in results.runs.items():
        recipe = results.rows[name].recipe
        line = {"loss": name, "setting": descriptions.loss(recipe)}
        lines.append(line | {f"{test}, %": comparison.mean(test, group) for test in results.tests})
    return pd.DataFrame(lines)


def halves(results: Results) -> tuple[dict[str, tuple[str, ...]], Runs]:
    """The runs of the methods at their best on all halves of the people that are recorded: of each its rows, and the runs of
    these."""
    every = [half.trained for half in _every_half(results)]
    data = [half.settings.data for half in _every_half(results)]
    rows = {name: tuple(f"{name}, {each}" for each in data) for name in every[0]}
    return rows, {row: half[name] for name, own in rows.items() for row, half in zip(own, every, strict=True)}


def _shares(results: Results) -> dict[str, float]:
    """Of each method the mean logarithm of its errors, over all halves of the people alike."""
    rows, runs = halves(results)
    every = {name: [np.mean(_logs(runs, row, results.tests)) for row in own] for name, own in rows.items()}
    return {name: float(np.mean(own)) for name, own in every.items()}


def stands_on(results: Results) -> str:
    """What the numbers of all halves of the people stand on."""
    return "; ".join(half.label() for half in _every_half(results))


def _every_half(results: Results) -> list[Results]:
    return [results, *(there for bed, there in results.beds.items() if results.item.beds[bed].joined and there.runs)]


def alike(results: Results) -> pd.DataFrame:
    """The methods at their best in the order of their errors, each with those that it cannot be told from: any two are
    compared, on all halves of the people that are recorded, and all comparisons are one family."""
    rows, runs = halves(results)
    shares = _shares(results)
    ordered = sorted(shares, key=lambda name: shares[name])
    pairs = list(combinations(ordered, 2))
    tests = tuple(results.tests)
    claims = [
        Above(rows[a], rows[b], tests, f"{a} over {b}", among=pooled((*rows[a], *rows[b]), runs, tests)) for a, b in pairs
    ]
    found = effects.judge(claims, runs)
    same: dict[str, list[int]] = {name: [] for name in ordered}
    for (a, b), each in zip(pairs, found, strict=True):
        if each.word not in effects.TOLD:
            same[a].append(ordered.index(b) + 1)
    lines = [(n, name, f"{100 * np.exp(shares[name]):.2f}", _spans(same[name])) for n, name in enumerate(ordered, 1)]
    return pd.DataFrame(lines, columns=["", "loss", "errors, %", "of what follows, not told from"])


def _spans(numbers: Sequence[int]) -> str:
    """Such as "2–5, 8" of 2, 3, 4, 5, 8; a dash for none."""
    ends = [n for n in numbers if n + 1 not in numbers]
    starts = [n for n in numbers if n - 1 not in numbers]
    return ", ".join(f"{a}–{b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True)) or "–"


def parts(results: Results) -> str:
    """What part of the spread is the loss, what the setting and what the seed, in three sentences; "" of one seed."""
    rows, runs = halves(results)
    bed = bed_of(results.settings.data)
    once = [own for name, own in rows.items() if name in METHODS]  # not again as chosen elsewhere
    logs = [np.array([_logs(runs, row, results.tests) for row in half]) for half in zip(*once, strict=True)]
    if min((half.shape[1] for half in logs), default=0) < 2:
        return ""
    loss, middle, seed = spread(logs)
    told = (
        f"From loss to loss the errors differ by {100 * loss:.1f} % (the standard deviation of the logarithm; half of them lie "
        f"within {100 * middle:.1f} %), from seed to seed by {100 * seed:.1f} %"
    )
    setting = methods.spread(bed) if results.settings.profile == "book" and _at_their_best(results) else None
    if setting is None:
        return f"{told}."
    squares = np.square([loss, setting, seed])
    of_loss, of_setting, of_seed = 100 * squares / squares.sum()
    return (
        f"{told}, and from setting to setting of one loss, of the nine that were tried, by {100 * setting:.1f} % (the median "
        f"of losses, on what is set aside). Of these three variances together the loss is {of_loss:.0f} %, the setting "
        f"{of_setting:.0f} %, the seed {of_seed:.0f} %. {methods.searched(bed)}"
    )


def spread(logs: Sequence[Floats]) -> tuple[float, float, float]:
    """Of logarithms of errors (R, S), of each half of the people or of one test bed: the standard deviation of the losses,
    their middle half's width, and that of the seeds.

    Halves, or the seeds where there is one, are crossed with losses: what one of these does to all losses alike, and what it
    does to one, adds nothing to the spread of losses.
    """
    every = np.stack([half.mean(axis=1) for half in logs], axis=1) if len(logs) > 1 else logs[0]
    rows, runs = every.shape
    own = every.mean(axis=1)
    rest = every - own[:, None] - every.mean(axis=0) + every.mean()
    residual = (rest**2).sum() / ((rows - 1) * (runs - 1))
    low, high = np.quantile(own, [0.25, 0.75])
    between = max(own.var(ddof=1) - residual / runs, 0.0)
    return float(np.sqrt(between)), float(high - low), float(np.sqrt(np.mean([half.var(axis=1, ddof=1) for half in logs])))


def errors(results: Results, row: str) -> float:
    """The geometric mean of a row's errors, over tests and seeds."""
    return float(np.exp(np.mean(_logs(results.runs, row, results.tests))))


def _logs(runs: Runs, name: str, tests: Sequence[str]) -> list[float]:
    """The logarithm of a row's errors, of every seed: the mean over tests."""
    every = [run for group in runs.values() for run in group]
    measures = [deciding(test, every) for test in tests]
    return [float(np.mean([np.log(error(run, measure)) for measure in measures])) for run in runs[name]]


BENCH = Item(
    "The field",
    "The bench",
    notebook="field/bench",
    parameters=PARAMETERS,
    rows=rows,
    seeds=range(5),
    claims=claims,
    explored=explored,
    tabulate=tabulate,
    beds={
        "other half": Bed(range(5), {"data": lambda asked: other_half(asked.data)}, joined=True),
        "glyphs": Bed(range(10), ON_GLYPHS),
        TEN_THOUSAND: Bed(range(3), ON_MANY),
    },
)
PRINTED = Item(
    "The field",
    "The papers' settings",
    notebook="field/printed",
    parameters=ON_GLYPHS,
    rows=both_rows,
    seeds=(0, 1),
    tabulate=as_printed,
    beds={"faces": Bed(range(2), PARAMETERS)},
)
