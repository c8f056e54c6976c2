"""An accuracy on N pairs is k/N: which printed accuracies can be, and which cannot."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marginface.book import published
from marginface.book.verdicts import Claim, Verdict, of_claims

# pairs of each test set; each is cut into ten folds of the same size, so that a mean over folds is k/N too
PAIRS = {"LFW": 6000, "AgeDB-30": 6000, "CALFW": 6000, "CPLFW": 6000, "CFP-FP": 7000, "YTF": 5000}
TABLES = {"ArcFace": (2, 3, 4, 5, 6, 7, 8, 11), "IAM": (3, 4, 5), "InterFace": (1, 2, 3, 4, 5, 6), "PAM": (2,)}
RULES = ("rounded", "cut off")


@dataclass(frozen=True)
class Value:
    """A printed accuracy, in percent, and where it stands."""

    text: str
    paper: str
    table: int
    row: int
    benchmark: str
    cited: bool  # taken over from another paper

    @property
    def group(self) -> str:
        return f"{self.paper} Table {self.table}" + (", cited" if self.cited else "")

    @property
    def pairs(self) -> int:
        return PAIRS[self.benchmark]


@cache
def values() -> tuple[Value, ...]:
    """Every printed verification accuracy of the four papers."""
    found = []
    for paper, numbers in TABLES.items():
        for number in numbers:
            table = published.table(paper.lower(), number)
            wanted = table[(table["metric"] == "accuracy_pct") & table["benchmark"].isin(list(PAIRS)) & table["value"].notna()]
            own = (
                wanted["own_run"] if "own_run" in wanted else wanted["ours"] if "ours" in wanted else pd.Series(1, wanted.index)
            )
            for line, ours in zip(wanted.to_dict("records"), own, strict=True):
                text = str(line["value_printed"]).replace(",", ".")
                found.append(Value(text, paper, number, int(line["row"]), line["benchmark"], not ours))
    return tuple(found)


def decimals(text: str) -> int:
    """How many decimals a number is printed with."""
    return len(text.partition(".")[2])


def counts(text: str, pairs: int, rule: str) -> range:
    """The k for which k of `pairs` is printed as this percentage.

    "rounded": to the nearest, and a tie either way; "cut off": further decimals are left away.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {RULES}, not {rule!r}")
    value, step = Fraction(text), Fraction(1, 10 ** decimals(text))
    if not 0 <= value <= 100:
        raise ValueError(f"{text!r} is not a percentage")
    if rule == "rounded":
        low, high = (value - step / 2) * pairs / 100, (value + step / 2) * pairs / 100
        return range(max(0, ceil(low)), min(pairs, floor(high)) + 1)
    low, high = value * pairs / 100, (value + step) * pairs / 100
    return range(ceil(low), min(pairs, ceil(high) - 1) + 1)


def fits(value: Value, rule: str) -> bool:
    return len(counts(value.text, value.pairs, rule)) > 0


@cache
def share_possible(places: int, pairs: int, rule: str) -> float:
    """Which part of all percentages with so many decimals is printed for some k: what a made-up number has as its chance."""
    every = 10 ** (places + 2)
    scale = Fraction(every, pairs)
    shift = Fraction(1, 2) if rule == "rounded" else Fraction(0)
    return len({floor(k * scale + shift) for k in range(pairs)}) / every


def nearest_rule(group: list[Value]) -> str:
    """The rule that more of the values fit; rounding where both do as well."""
    return max(RULES, key=lambda rule: sum(fits(value, rule) for value in group))


def groups() -> dict[str, list[Value]]:
    """The values by table, cited ones apart."""
    grouped: dict[str, list[Value]] = {}
    for value in values():
        grouped.setdefault(value.group, []).append(value)
    return grouped


def test_sets_table() -> pd.DataFrame:
    """What one pair is on each test set, and which part of all numbers with one, two and three decimals are possible."""
    lines = []
    for name, pairs in PAIRS.items():
        shares = [f"{share_possible(places, pairs, 'rounded'):.0%}" for places in (1, 2, 3)]
        lines.append((name, f"{pairs:,}", f"{100 / pairs:.4f} %", *shares))
    return pd.DataFrame(lines, columns=["test set", "pairs", "one pair", "possible: 99.4", "99.43", "99.433"])


def groups_table() -> pd.DataFrame:
    """For every table: how many accuracies fit each rule or neither, and how likely made-up numbers would fit as well."""
    lines = []
    for name, group in groups().items():
        fitting = [sum(fits(value, rule) for value in group) for rule in RULES]
        neither = sum(not any(fits(value, rule) for rule in RULES) for value in group)
        rule = nearest_rule(group)
        chance = fit_by_chance(group, rule)
        places = ", ".join(map(str, sorted({decimals(value.text) for value in group})))
        lines.append((name, len(group), places, *fitting, neither, f"{chance:.0e}" if chance < 0.01 else f"{chance:.2f}"))
    return pd.DataFrame(lines, columns=["table", "accuracies", "decimals", *RULES, "neither", "as many by chance"])


def fit_by_chance(group: list[Value], rule: str) -> float:
    """How likely as many made-up numbers with these decimals would fit a rule, or more."""
    chances = np.ones(1)  # of 0, 1, 2, … misfits
    for value in group:
        share = share_possible(decimals(value.text), value.pairs, rule)
        chances = np.convolve(chances, [share, 1 - share])
    misfits = sum(not fits(value, rule) for value in group)
    return float(chances[: misfits + 1].sum())


def exceptions() -> list[tuple[Value, str, str]]:
    """Values that their table's rule cannot give: each with the nearest possible value and what would explain it.

    A table of numbers cited from many papers has no rule of its own: there only what fits neither counts.
    """
    found = []
    for group in groups().values():
        rule = nearest_rule(group)
        for value in group:
            if fits(value, rule) or (value.cited and any(fits(value, each) for each in RULES)):
                continue
            found.append((value, rule, explain(value, rule)))
    return found


def explain(value: Value, rule: str) -> str:
    """What would make an impossible value possible."""
    for each in RULES:
        if fits(value, each):
            return f"{each}, where its table is {rule}"
    reasons = []
    short = value.text.rstrip("0")
    if short != value.text and (k := counts(short, value.pairs, rule)):
        reasons.append(f"{k[0]:,} of {value.pairs:,} with {decimals(short)} decimals, {short}, and a zero added")
    for i in range(len(value.text) - 1):
        swapped = value.text[:i] + value.text[i + 1] + value.text[i] + value.text[i + 2 :]
        if "." not in value.text[i : i + 2] and swapped != value.text and (k := counts(swapped, value.pairs, rule)):
            elsewhere = sorted({each.group for each in values() if (each.text, each.benchmark) == (swapped, value.benchmark)})
            reasons.append(
                f"{k[0]:,} with two digits in the other order, {swapped}" + "".join(f", printed in {e}" for e in elsewhere)
            )
    for pairs in sorted(set(PAIRS.values()) - {value.pairs}):
        if k := counts(value.text, pairs, rule):
            where = "/".join(name for name, size in PAIRS.items() if size == pairs)
            reasons.append(f"possible on {pairs:,} pairs ({where}): {k[0]:,}")
    return "; ".join(reasons) or "none found"


def nearest(value: Value, rule: str) -> tuple[int, str]:
    """The k whose printed form is nearest, and that form with as many decimals."""
    places = decimals(value.text)
    every, target = 10**places, Fraction(value.text)
    shift = Fraction(1, 2) if rule == "rounded" else Fraction(0)
    middle = round(target * value.pairs / 100)
    shown = {k: Fraction(floor(Fraction(100 * k, value.pairs) * every + shift), every) for k in range(middle - 2, middle + 3)}
    k = min(shown, key=lambda each: abs(shown[each] - target))
    return k, f"{float(shown[k]):.{places}f}"


def exceptions_table() -> pd.DataFrame:
    lines = []
    for value, rule, reason in exceptions():
        k, text = nearest(value, rule)
        state = "impossible" if not any(fits(value, each) for each in RULES) else f"not {rule}"
        place = f"{value.group}, row {value.row}, {value.benchmark}"
        lines.append((place, value.text, state, f"{text} = {k:,}/{value.pairs:,}", reason))
    return pd.DataFrame(lines, columns=["where", "printed", "state", "nearest possible", "what would explain it"])


def contradicted_table() -> pd.DataFrame:
    """Values with the same mark (Borda points or rank) in a column that are not the same, though both possible.

    With the change of one digit, or of the order of two, that would make them the same, if there is one.
    """
    lines = []
    for number in TABLES["InterFace"]:
        table = published.table("interface", number)
        mark = "borda_printed" if "borda_printed" in table else "rank_printed"
        marked = table[table[mark].notna() & table["benchmark"].isin(list(PAIRS))]
        for (benchmark, points), cells in marked.groupby(["benchmark", mark], sort=False):
            counted = cells["value_printed"].value_counts()
            if len(counted) == 1:
                continue
            texts = [str(text) for text in counted.index]
            gap = cells["value"].max() - cells["value"].min()
            kind = "points" if mark == "borda_printed" else "rank"
            where = f"InterFace Table {number}, {benchmark}, {kind} {points:g}"
            listed = ", ".join(f"{text} ({count}×)" if count > 1 else text for text, count in zip(texts, counted, strict=True))
            lines.append((where, listed, f"{gap:.3f}", slip(*texts[:2])))
    ordered = sorted(lines, key=lambda line: -float(line[2]))
    return pd.DataFrame(ordered, columns=["where", "printed with the same mark", "apart, %", "they differ in"])


def residual_figure() -> Figure:
    """How far each printed value lies from a whole number of pairs: around 0 where rounded, up to 0.7 below where cut off."""
    grouped = groups()
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.24 * len(grouped)))
    for place, group in enumerate(grouped.values()):
        exact = np.array([float(Fraction(value.text)) * value.pairs / 100 for value in group if decimals(value.text) > 1])
        reach = 0.72 if nearest_rule(group) == "cut off" else 0.5  # 0.3 above and 0.7 below a whole number are the same place
        apart = (exact + reach) % 1 - reach
        bad = [not any(fits(value, rule) for rule in RULES) for value in group if decimals(value.text) > 1]
        colours = np.where(bad, "C3", "C0")
        axes.scatter(apart, [place] * len(apart), s=14, c=colours.tolist(), alpha=0.7)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(
        yticks=range(len(grouped)), yticklabels=list(grouped), xlim=(-0.75, 0.55), xlabel="pairs from a whole number of pairs"
    )
    axes.invert_yaxis()
    return figure


def claims() -> list[Claim]:
    """For each paper: is every printed accuracy one that its test set can give? Digits that explain why not are misprints."""
    listed = []
    for paper in TABLES:
        mine = [value for value in values() if value.paper == paper]
        wrong = [value for value in mine if not any(fits(value, rule) for rule in RULES)]
        slips = bool(wrong) and all(explain(value, nearest_rule(mine)) != "none found" for value in wrong)
        texts = sorted({f"{value.text} on {value.benchmark}" for value in wrong})
        fitting = ", ".join(f"{sum(fits(value, rule) for value in mine)} as {rule}" for rule in RULES)
        evidence = f"{len(mine)} accuracies: {fitting}"
        if wrong:
            evidence += f"; {len(wrong)} as neither: {', '.join(texts)}"
        source = f"Table{'s' if len(TABLES[paper]) > 1 else ''} " + ", ".join(map(str, TABLES[paper]))
        text = f"{paper}: every printed accuracy is a whole number of pairs"
        listed.append(Claim(text, source, not wrong, evidence, "misprint" if slips else "claim"))
    return listed


def verdict() -> Verdict:
    return of_claims(claims())


def slip(one: str, two: str) -> str:
    """How two printed numbers of one length differ, in words; "" where their lengths do."""
    if len(one) != len(two):
        return ""
    places = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if len(places) == 1:
        return "one digit"
    if len(places) == 2 and sorted(one) == sorted(two):
        return "the order of two digits"
    return f"{len(places)} digits"
