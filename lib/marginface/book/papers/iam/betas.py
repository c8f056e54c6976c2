"""IAM Tables 3 and 4: the choice of β for the scaled softmax and for AM-Softmax, and what else might do the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import effects, published, telling
from marginface.book.effects import Above, Effect
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import bases
from marginface.book.papers.bases import BETA, FIVE_SEEDS, WITH_IAM, with_iam
from marginface.book.papers.choosing import ON_GLYPHS, PARAMETERS
from marginface.margins import NormFace
from marginface.regularizers import IAM

# as printed, and beyond to both sides; in Table 4 also between 0.1 and 1, where the paper has nothing
BETAS: dict[int, tuple[float, ...]] = {
    3: (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 5.0, 10.0),
    4: (0.02, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.3, 1.0, 2.0, 5.0),
}
BASE = {3: "NormFace", 4: "CosFace"}
BEST = {3: BETA, 4: 0.05}  # the β with most of the printed bests; fixed before anything was measured
PLAIN, AM = "β = 0", "AM-Softmax"
RATES, SHARPER = (1.3, 4.0), 2.0  # what the learning rate and the scale are multiplied by, as controls
LARGER = f"s × {SHARPER:g}"
RATE = f"rate × {RATES[-1]:g}"
OWN, OWN_RATE = f"own s, β = {BETA:g}", f"own s, {RATE}"
HARDLY = 1.1  # times as long: a gradient that IAM leaves as it is, or nearly
PAIRS = ("LFW", "CFP-FP")  # tests of the paper's that are ours, too


def rows(number: int, chosen: SimpleNamespace) -> dict[str, Row]:
    """The base loss with every β; Table 3's also AM-Softmax, a larger rate, a larger scale, and IAM at its own best scale."""
    recipe, losses, scale = bases.of(chosen)
    base = losses[BASE[number]]
    found = {f"β = {beta:g}": Row(with_iam(base, beta, scale).on(recipe), {"beta": beta}) for beta in (0.0, *chosen.beta)}
    if number == 4:
        on_logits = base.plus(IAM(0.1, on="logits"))
        return found | {"β = 0.1, on logits": Row(on_logits.on(recipe))}
    assert isinstance(base.margin, NormFace)
    controls = {f"rate × {by:g}": Row(base.on(replace(recipe, lr=by * recipe.lr))) for by in RATES}
    sharper = replace(base, margin=NormFace(SHARPER * base.margin.scale))
    controls[LARGER] = Row(sharper.on(recipe))
    if losses.get(WITH_IAM) not in (None, with_iam(base, BETA, scale)):
        own = losses[WITH_IAM]
        controls[OWN] = Row(own.on(recipe))
        controls[OWN_RATE] = Row(replace(own, added=()).on(replace(recipe, lr=RATES[-1] * recipe.lr)))
    return found | {AM: Row(losses["CosFace"].on(recipe))} | controls


def tests_of(results: Results) -> tuple[str, ...]:
    """The sets of pairs that a claim is decided on: the paper's, and on other data all."""
    return tuple(test for test in PAIRS if test in results.tests) or tuple(results.tests)


def printed_share(table: pd.DataFrame, ours: Mapping[str, object], theirs: Mapping[str, object]) -> float | None:
    """By which share the printed errors change from one line to another, over those of the paper's tests that are ours, too, or
    MegaFace."""
    tests = [test for test in dict.fromkeys(table.benchmark) if test in (*PAIRS, "MegaFace")]
    both = [[published.value(table[table.benchmark == test], conditions) for test in tests] for conditions in (ours, theirs)]
    return None if any(value is None for values in both for value in values) else published.share(*both)  # type: ignore[arg-type]


def betas_of(results: Results) -> dict[str, float]:
    """The rows with IAM on cosines, and their β."""
    return {name: row.printed["beta"] for name, row in results.rows.items() if row.printed.get("beta")}


def over_base(number: int, results: Results, row: str) -> Above:
    """That a row errs less than the base loss alone."""
    printed = published.table("iam", number)
    share = printed_share(printed, results.rows[row].printed, {"beta": 0.0}) if results.rows[row].printed else None
    return Above(row, PLAIN, tests_of(results), f"{row} over {PLAIN}", share)


def claims(number: int, results: Results) -> list[Above]:
    """What §5.2 says of Table 3: IAM improves the scaled softmax greatly, at β = 2, too; β should be less than 1; with β = 0.8
    it is even better than AM-Softmax, "e.g. … on LFW". Of Table 4: IAM can improve it, and with β > 1 it is worse."""
    tests, beta = tests_of(results), betas_of(results)
    best = f"β = {BEST[number]:g}"
    table, small = published.table("iam", number), tuple(name for name, value in beta.items() if value in _printed(number))
    found = [Above(small, PLAIN, tests, f"the mean of the printed β below 1 over {PLAIN}", _mean_share(table, beta, small))]
    if best in beta:
        found.append(over_base(number, results, best))
    if number == 4:
        worse = [name for name, value in beta.items() if value > 1 and value in set(table.beta)]
        return found + [_worse(results, table, name) for name in worse]
    if "β = 2" in beta:
        found.append(over_base(3, results, "β = 2"))
        if best in beta:
            share = printed_share(table, {"beta": BEST[3]}, {"beta": 2.0})
            found.append(Above(best, "β = 2", tests, f"{best} over β = 2", share))
    if best in beta:
        share = published.share([_value(3, BEST[3], "LFW")], [_value(4, 0.0, "LFW")])
        found.append(Above(best, AM, ("LFW",) if "LFW" in tests else tests, f"{best} over {AM}", share))
    return [claim for claim in found if claim.row]


def explored(number: int, results: Results) -> list[Above]:
    """Every β against none; what a larger learning rate or a larger scale does instead, whether IAM is more than that, and what
    it does where the scale was chosen with it."""
    claimed = {claim.text for claim in claims(number, results)}
    found = [over_base(number, results, name) for name in betas_of(results)]
    others = [name for name in results.rows if name not in betas_of(results) and name != PLAIN]
    pairs = [(name, PLAIN) for name in others]
    judged = f"β = {BEST[3]:g}" if number == 3 else "β = 0.1"
    pairs += [(judged, name) for name in others if judged in results.rows]
    pairs += [(OWN, name) for name in _beside_own(results)]
    found += [Above(row, over, tests_of(results), f"{row} over {over}") for row, over in pairs]
    return [claim for claim in found if claim.text not in claimed]


def _without(results: Results) -> str | None:
    """The row that is IAM at its own scale with nothing but IAM left out."""
    without = replace(results.rows[OWN].recipe, regularizers=())
    return next((name for name, row in results.rows.items() if row.recipe == without), None)


def _beside_own(results: Results) -> list[str]:
    """What IAM at its own scale is compared with besides: that scale alone, a larger rate at that scale, and AM-Softmax."""
    if OWN not in results.rows:
        return []
    return [name for name in (_without(results), OWN_RATE, AM) if name is not None and name in results.rows]


def at_its_own_scale(*beds: Results) -> pd.DataFrame:
    """Of each test bed the scale that was chosen with IAM and that without, and by how much IAM at its own scale changes the
    errors of other rows; "–" where both are one scale, or no such row is recorded. Not judged."""
    lines = []
    for results in (each for each in beds if PLAIN in each.runs):
        plain = results.rows[PLAIN].recipe.margin
        assert isinstance(plain, NormFace)
        line = {"on": bed_of(results.settings.data), "s with IAM": f"{plain.scale:g}", "s without": f"{plain.scale:g}"}
        found = dict.fromkeys(("β = 0", "the same without IAM", f"the same with {RATE} instead", AM), "–")
        if OWN in results.rows:
            own = results.rows[OWN].recipe.margin
            assert isinstance(own, NormFace)
            line["s with IAM"] = f"{own.scale:g}"
        if OWN in results.runs:
            known = zip(found, (PLAIN, _without(results), OWN_RATE, AM), strict=True)
            over = {title: Above(OWN, row, tests_of(results), OWN) for title, row in known if row in results.runs}
            effects_of = effects.explore(list(over.values()), results.trained)
            found |= {title: each.difference for title, each in zip(over, effects_of, strict=True)}
        lines.append(line | {f"errors, over {title}": value for title, value in found.items()})
    return pd.DataFrame(lines)


def of_the_rate(results: Results) -> str:
    """What a larger learning rate does without IAM, in a sentence."""
    if not {PLAIN, RATE} <= results.runs.keys():
        return ""
    (found,) = effects.explore([Above(RATE, PLAIN, tests_of(results), RATE)], results.trained)
    return f"On {bed_of(results.settings.data)} *{RATE}* changes the errors by {found.difference}."


def curve(number: int, results: Results) -> dict[float, Effect]:
    """The effect of each β over none, by β, where there are runs."""
    if not results.runs:
        return {}
    found = effects.explore([over_base(number, results, name) for name in betas_of(results)], results.trained)
    return dict(zip(betas_of(results).values(), found, strict=True))


def plateau(results: Results) -> pd.DataFrame:
    """Which β can be told from the one that errs least: an optimum would be told from its neighbours, a plateau is not.

    Any of them might have come out best, so that the level is that of all pairs, as if each were compared with each. Of those
    that are not told apart, how many seeds of each would, if they differ as measured.
    """
    if not results.runs:
        return pd.DataFrame()
    rows = [PLAIN, *betas_of(results)]
    best = _best(results)
    others = [name for name in rows if name != best]
    over_others = [Above(best, name, tests_of(results), f"{best} over {name}") for name in others]
    found = effects.judge(over_others, results.trained, 2 * effects.LEVEL / len(rows))
    told = [
        ("yes", "") if each.word == "holds" else ("no", telling.seeds(each) if each.found.runs > 1 else "–") for each in found
    ]
    lines = [(name, each.difference, *word) for name, each, word in zip(others, found, told, strict=True)]
    return pd.DataFrame(lines, columns=["β", f"errors of {best} against it [interval]", f"told from {best}", "seeds to tell"])


def _best(results: Results) -> str:
    """The row of a β, or of none, that errs least."""
    rows = list(betas_of(results))
    over = effects.explore([Above(name, PLAIN, tests_of(results), name) for name in rows], results.trained)
    means = {PLAIN: 0.0} | {name: each.found.mean for name, each in zip(rows, over, strict=True)}
    return min(means, key=lambda name: means[name])


def at_an_end(results: Results) -> str:
    """Whether the β that errs least is the largest that was tried, or none at all, in a sentence."""
    if not results.runs:
        return ""
    beta = {PLAIN: 0.0} | betas_of(results)
    best, bed = _best(results), bed_of(results.settings.data)
    at = {PLAIN: "no IAM at all", max(beta, key=beta.__getitem__): "the largest that was tried"}.get(best, "not at an end")
    return f"On {bed} that is {best}, {at}."


def longer(number: int, results: Results) -> str:
    """By how much IAM makes gradients longer at the end of a training without it, in a sentence: what a learning rate would
    have to be multiplied by to be a control of the same size.

    A sample's gradient is proportional to 1 - q, and with IAM to 1 - q + β p, where q is the probability that the loss gives
    to its class, margin included, and p that by plain cosines: without a margin they are the same, and with one p is at most 1.
    The mean of 1 - q over training images is in records.
    """
    beta, p = BEST[number], "1 − p" if number == 3 else "1 − q"
    kept = [run.arrays["trained shares"][2] for run in results.runs.get(PLAIN, ()) if "trained shares" in run.arrays]
    if not kept:
        return "Records do not say how long the gradients are at the end."
    pull = float(np.mean(kept))
    most = pull + beta * (1 - pull if number == 3 else 1)
    more = f"{'' if number == 3 else 'at most '}{most / pull:.2f} times"
    told = (
        f"At the end of a training without IAM, {p} is {pull:.2f} in the mean over training images. With β = {beta:g} the "
        f"gradient of such an image would be {more} as long."
    )
    if most / pull > HARDLY:
        return told
    return (
        f"{told} IAM has hardly anything to work with here: what it does to networks that fit their images better is left open."
    )


def _printed(number: int) -> tuple[float, ...]:
    return tuple(beta for beta in sorted(set(published.table("iam", number).beta)) if 0 < beta < 1)


def _mean_share(table: pd.DataFrame, beta: Mapping[str, float], names: Sequence[str]) -> float | None:
    shares = [printed_share(table, {"beta": beta[name]}, {"beta": 0.0}) for name in names]
    known = [share for share in shares if share is not None]
    return float(np.expm1(np.mean(np.log1p(known)))) if known else None


def _worse(results: Results, table: pd.DataFrame, name: str) -> Above:
    share = printed_share(table, {"beta": 0.0}, results.rows[name].printed)
    return Above(PLAIN, name, tests_of(results), f"{PLAIN} over {name}", share)


def _value(number: int, beta: float, test: str) -> float:
    table = published.table("iam", number)
    value = published.value(table[table.benchmark == test], {"beta": beta})
    assert value is not None
    return value


def _item(number: int) -> Item:
    return Item(
        "IAM",
        f"Table {number}",
        notebook=f"iam/table{number}",
        parameters={"beta": BETAS[number]} | PARAMETERS,
        rows=partial(rows, number),
        seeds=FIVE_SEEDS,
        claims=partial(claims, number),
        explored=partial(explored, number),
        beds={"glyphs": Bed(FIVE_SEEDS, ON_GLYPHS)},
    )


TABLE3, TABLE4 = _item(3), _item(4)
