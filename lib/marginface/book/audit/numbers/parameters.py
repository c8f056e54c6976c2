"""What InterFace's Tables I to V say beside their Borda counts: of a baseline, of each other, and of noise."""

import numpy as np
from scipy.stats import spearmanr

from marginface.book.audit.numbers import borda
from marginface.book.audit.numbers.borda import Chance, printed
from marginface.book.verdicts import Claim, Verdict, of_claims


def claims(found: list[Chance]) -> list[Claim]:
    """What InterFace says of its Borda counts, and what else its Tables I to V show."""
    return [*borda.claims(found), *misprints(), baseline(), sweeps_of_a(), repeats_of_table_5()]


def verdict() -> Verdict:
    return of_claims(claims(borda.chances()))


def misprints() -> list[Claim]:
    """For each table, the printed accuracies, points and sums that the others contradict."""
    found = []
    for number in borda.SELECTIONS:
        table, mended = printed(number), printed(number, mend=True)
        changed = table.accuracy[table.accuracy != mended.accuracy]
        differ = borda.disagreements([number])
        listed = [f"{accuracy:g} for {mended.accuracy[table.accuracy == accuracy][0]:g}" for accuracy in changed]
        listed += [f"{row[2]}, {row[3]}: {row[5]}" for row in differ.itertuples(index=False)]
        if listed:
            rule = borda.nearest_rule(mended)
            text = f"{table.name}: points and sums follow from the accuracies (by the table's own rule, {rule})"
            found.append(Claim(text, table.name, False, "; ".join(listed), "misprint"))
    return found


def baseline() -> Claim:
    """Whether ArcFace in Table I can stand beside the settings of Tables II to V as their baseline."""
    first = printed(1)
    runs = np.concatenate([printed(number, mend=True).accuracy for number in (2, 3, 4, 5)], axis=1)
    lowest = runs.min(axis=1)
    arcface = first.accuracy[:, first.settings.index("0.5")]
    gaps = ", ".join(f"{test} {own:g} and {low:g}" for test, own, low in zip(first.benchmarks, arcface, lowest, strict=True))
    return Claim(
        "ArcFace in Table I is below every setting of Tables II to V on every benchmark: it is no baseline of theirs",
        "Tables I–V",
        bool((arcface < lowest).all()),
        f"ArcFace and the lowest of {runs.shape[1]} rows, which are {len(np.unique(runs, axis=1).T)} trainings: {gaps}. "
        "The tables "
        "were hardly trained alike, and none prints ArcFace trained as II to V were",
        "observation",
    )


def sweeps_of_a() -> Claim:
    """Whether Tables II and IV, which vary the same a, agree on which is better."""
    second, fourth = (printed(number, mend=True) for number in (2, 4))
    means, again = (count.accuracy.mean(axis=0) for count in (second, fourth))
    correlation = spearmanr(means, again)
    best = int(means.argmax())
    place = 1 + int((again > again[best]).sum())
    return Claim(
        "Tables II and IV vary the same a, with nearly the same f, and do not agree on its order",
        "Tables II and IV",
        correlation.statistic <= 0,
        f"Spearman's correlation of the mean accuracies is {correlation.statistic:.2f} (p = {correlation.pvalue:.2f}, "
        f"{len(means)} values); a = {second.settings[best]} is first in II ({means[best]:.3f}) and number {place} of "
        f"{len(again)} in IV ({again[best]:.3f})",
        "observation",
    )


def repeats_of_table_5() -> Claim:
    """If b is in radians, Table V is one loss trained six times: what its rows differ by is then noise."""
    fifth, others = printed(5), [printed(number, mend=True) for number in (2, 3, 4)]
    spread = fifth.accuracy.std(axis=1, ddof=1)
    theirs = np.sqrt(np.mean([count.accuracy.var(axis=1, ddof=1) for count in others], axis=0))
    listed = ", ".join(f"{test} {a:.2f} and {b:.2f}" for test, a, b in zip(fifth.benchmarks, spread, theirs, strict=True))
    return Claim(
        "the rows of Table V, which are one loss if b is in radians, differ as much as those of Tables II to IV",
        "Tables II–V",
        bool(spread.mean() > 0.8 * theirs.mean()),
        f"standard deviations over the rows, in points, of V and of II to IV: {listed}",
        "observation",
    )
