"""What difference a test set can resolve, and which headline comparisons of the four papers are larger than that."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import special

from marginface.book import published
from marginface.book.audit.numbers import granularity
from marginface.book.audit.numbers.headlines import HEADLINES, Headline
from marginface.book.verdicts import Verdict
from marginface.evaluation.statistics import wilson

ALPHA = 0.05
# what an accuracy is measured on: pairs, and for the true acceptance rate on IJB the genuine pairs
SIZES = granularity.PAIRS | {"IJB-B": 10_270, "IJB-C": 19_557}
KINDS = {
    "clear": "significant even if the two err on wholly different pairs",
    "undecidable from the table": "significant or not, as their errors overlap much or little; the table does not say",
    "cannot be significant": "not even if the worse one errs on all pairs on which the better one does, and on these few more",
    "contradicted": "the table has a difference the other way",
}


@dataclass(frozen=True)
class Comparison:
    """A headline on one test set: how many of `total` the better and the worse one got right, and who they are."""

    headline: Headline
    benchmark: str
    better: int
    worse: int
    total: int
    names: tuple[str, str]
    texts: tuple[str, str]

    @property
    def lead(self) -> int:
        """In pairs."""
        return self.better - self.worse

    @property
    def p_values(self) -> tuple[float, float]:
        """McNemar's exact p if the errors overlap as far as they can, and if they do not overlap."""
        return best_case(self.lead), worst_case(self.total - self.better, self.total - self.worse)

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        best, worst = self.p_values
        if self.lead < 0:
            return "contradicted"
        return "clear" if worst < ALPHA else "undecidable from the table" if best < ALPHA else "cannot be significant"


def best_case(lead: int) -> float:
    """McNemar's exact p where all pairs that the two judge differently speak for the better one."""
    return float(min(1.0, 2.0 ** (1 - lead))) if lead > 0 else 1.0


def worst_case(errors: int, more: int) -> float:
    """McNemar's exact p where no pair is an error of both."""
    return float(min(1.0, 2 * special.bdtr(min(errors, more), errors + more, 0.5)))


def smallest_lead(alpha: float = ALPHA) -> int:
    """The fewest pairs by which one can be ahead and significantly so: fewer cannot be on any test set."""
    return next(lead for lead in range(1, 100) if best_case(lead) < alpha)


def unpaired(better: int, worse: int, total: int) -> float:
    """The two-sided p of two proportions on different samples of the same size (pooled z-test)."""
    pooled = (better + worse) / (2 * total)
    error = (2 * pooled * (1 - pooled) / total) ** 0.5
    return float(2 * special.ndtr(-abs(better - worse) / total / error)) if error else 1.0


def smallest_unpaired(correct: int, total: int, alpha: float = ALPHA) -> int:
    """By how many pairs another must be ahead of this accuracy for the unpaired test; 0 where even perfection is too little."""
    leads = range(1, total - correct + 1)
    return next((lead for lead in leads if unpaired(correct + lead, correct, total) < alpha), 0)


def resolution_table() -> pd.DataFrame:
    """For each test set, at the median and the best printed accuracy: its interval and the smallest leads that count."""
    lines = []
    for name, pairs in granularity.PAIRS.items():
        printed = sorted(float(value.text) for value in granularity.values() if value.benchmark == name)
        for label, accuracy in (("median", printed[len(printed) // 2]), ("best", printed[-1])):
            correct = round(accuracy * pairs / 100)
            low, high = wilson(correct, pairs)
            apart, least = smallest_unpaired(correct, pairs), smallest_lead()
            needed = f"{100 * apart / pairs:.2f} ({apart} pairs)" if apart else "more than there is left"
            interval = f"{100 * low:.2f} to {100 * high:.2f}"
            lines.append((name, f"{label} {accuracy:g}", interval, needed, f"{100 * least / pairs:.2f} ({least} pairs)"))
    columns = [
        "test set",
        "printed accuracy, %",
        "95 % interval (Wilson)",
        "unpaired: lead needed, %",
        "paired: never below, %",
    ]
    return pd.DataFrame(lines, columns=columns)


@cache
def comparisons() -> tuple[Comparison, ...]:
    """Every headline on every test set that both sides have numbers for."""
    return tuple(found for headline in HEADLINES for found in _compare(headline))


def _compare(headline: Headline) -> list[Comparison]:
    table = published.table(headline.paper.lower(), headline.table)
    table = table[table["metric"].isin(["accuracy_pct", "tar@far=1e-5_pct"]) & table["value"].notna()]
    found = []
    for benchmark in headline.benchmarks or tuple(dict.fromkeys(table["benchmark"])):
        lines = {int(line["row"]): line for line in table[table["benchmark"] == benchmark].to_dict("records")}
        sides = [[lines[row] for row in rows if row in lines] for rows in (headline.better, headline.worse)]
        if not all(sides):
            continue
        a, b = (max(side, key=lambda line: float(line["value"])) for side in sides)
        better, worse = (right(str(line["value_printed"]), benchmark, _rule(headline, int(line["row"]))) for line in (a, b))
        names, texts = (_name(a, headline), _name(b, headline)), (str(a["value_printed"]), str(b["value_printed"]))
        found.append(Comparison(headline, benchmark, better, worse, SIZES[benchmark], names, texts))
    return found


def right(text: str, benchmark: str, rule: str = "rounded") -> int:
    """How many of the benchmark's pairs a printed percentage stands for, read with two decimals if it has fewer."""
    places = granularity.decimals(text)
    padded = text if places >= 2 else f"{float(text):.2f}"
    counts = granularity.counts(padded, SIZES[benchmark], rule)
    return counts[len(counts) // 2] if counts else round(float(text) * SIZES[benchmark] / 100)


def comparisons_table(paper: str) -> pd.DataFrame:
    """Every comparison of a paper, and its kind."""
    lines = []
    for found in comparisons():
        if found.headline.paper == paper:
            best, worst = found.p_values
            span = f"{best:.2g} to {worst:.2g}" if found.lead > 0 else ""
            claim = f"“{found.headline.quote}” ({found.headline.source}, Table {found.headline.table})"
            sides = f"{found.names[0]} {found.texts[0]} – {found.names[1]} {found.texts[1]}"
            lines.append((claim, found.benchmark, sides, f"{found.lead:+d}", span, found.kind))
    return pd.DataFrame(
        lines, columns=["claim", "test set", "printed, %", "pairs ahead", "p, best to worst case", "the table says"]
    )


def kinds_table() -> pd.DataFrame:
    """How many comparisons of each paper are of which kind."""
    counts = pd.DataFrame([(found.headline.paper, found.kind) for found in comparisons()], columns=["paper", "kind"])
    crossed = pd.crosstab(counts["paper"], counts["kind"]).reindex(columns=list(KINDS), fill_value=0)
    crossed["all"] = crossed.sum(axis=1)
    crossed.loc["all four"] = crossed.sum()
    return crossed.reset_index().rename_axis(columns=None)


def kinds_key() -> pd.DataFrame:
    """What the kinds mean."""
    return pd.DataFrame(list(KINDS.items()), columns=["kind", "meaning"])


def comparisons_figure() -> Figure:
    """Every lead as a dot: in the dark bar none can be significant, right of the light bar every one is."""
    found = comparisons()
    colours = dict(zip(KINDS, ("C2", "C1", "C7", "C3"), strict=True))
    figure, axes = plt.subplots(figsize=(8.5, 0.9 + 0.19 * len(found)))
    for place, each in enumerate(found):
        needed = _clear_from(each)
        axes.plot([0, needed], [place, place], color="0.85", linewidth=5, solid_capstyle="butt")
        axes.plot([0, smallest_lead()], [place, place], color="0.6", linewidth=5, solid_capstyle="butt")
        axes.plot(each.lead, place, "o", color=colours[each.kind], markersize=5)
    labels = [
        f"{each.headline.paper} {each.headline.table}: {each.names[0]} – {each.names[1]}, {each.benchmark}" for each in found
    ]
    axes.set(yticks=range(len(found)), yticklabels=labels, xlabel="pairs ahead")
    axes.set_xscale("symlog", linthresh=10)
    ticks = (-20, -10, 0, 6, 10, 20, 50, 100, 200)
    axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axes.tick_params(axis="y", labelsize=6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    handles = [Line2D([], [], color=colour, marker="o", linestyle="", label=kind) for kind, colour in colours.items()]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=4)
    return figure


def verdict() -> Verdict:
    """What the tables can say of their own headlines."""
    found = comparisons()
    counted = {kind: sum(each.kind == kind for each in found) for kind in KINDS}
    word = "reproduced" if counted["clear"] == len(found) else "reproduced in part" if counted["clear"] else "contradicted"
    summary = f"{len(found)} comparisons: " + ", ".join(f"{count} {kind}" for kind, count in counted.items())
    wrong = [
        f"contradicted: “{each.headline.quote}” ({each.headline.paper}), on {each.benchmark} {' and '.join(each.texts)}"
        for each in found
        if each.kind == "contradicted"
    ]
    return Verdict(word, (summary, *wrong), "as printed")


def _clear_from(each: Comparison) -> int:
    """The smallest lead over the worse one that is clear."""
    errors = each.total - each.worse
    return next((lead for lead in range(1, errors + 1) if worst_case(errors - lead, errors) < ALPHA), errors)


def _rule(headline: Headline, row: int) -> str:
    """How the numbers of this row's table are written: cut off or rounded."""
    group = [v for v in granularity.values() if (v.paper, v.table) == (headline.paper, headline.table)]
    own = [v for v in group if v.row == row]
    same = [v for v in group if own and v.cited == own[0].cited]
    return granularity.nearest_rule(same) if same else "rounded"


def _name(line: dict[Hashable, Any], headline: Headline) -> str:
    text = str(line[headline.label]).replace("\\lambda", "λ")
    return f"{headline.label.replace('_', ' ')} = {text}" if headline.label in ("m", "weight_decay") else text
