"""What IAM's text says of its tables. Words in “ ” are the paper's own."""

import pandas as pd

from marginface.book import published
from marginface.book.audit.numbers.printed import Numbers, cites, grid, listing
from marginface.book.verdicts import Claim

TESTS = ["LFW", "YTF", "CFP-FP"]


def claims() -> list[Claim]:
    return _on_table_2() + _on_table_3() + _on_table_4() + _on_tables_5_and_6() + _observed()


def _on_table_2() -> list[Claim]:
    t2: Numbers = published.table("iam", 2).pivot_table("value", "base_loss", "beta", sort=False)
    gain = (t2[0.2] - t2[0.0]).round(2)
    return [
        Claim(
            "“The accuracies showed in Table 2 also confirm the effectiveness of our IAM loss” (read as: they are higher "
            "with it)",
            "IAM §5.1, Table 2",
            bool((gain > 0).all()),
            f"in points: {listing(gain)}",
        )
    ]


def _on_table_3() -> list[Claim]:
    t3, am = grid("iam", 3, "beta")[TESTS], grid("iam", 4, "beta")[TESTS].loc[0.0]
    best = t3.max()
    by_beta = int((t3.loc[t3.index != 0] > am).all(axis=1).sum())
    below = t3.index[t3.index < 1]
    return [
        cites(
            "“our IAM loss improves the scaled Softmax loss greatly (e.g. from 98.567% to 99.117% when β = 0.8 on LFW)”",
            "IAM §5.2, Table 3",
            [t3.loc[0.0, "LFW"], t3.loc[0.8, "LFW"]],
            "Table 3",
        ),
        Claim(
            "“which is even better than the work of [9, 11] (e.g. 99.117% vs. 99.067% on LFW)” (read as: on average over the "
            "test sets, each with its best β)",
            "IAM §5.2, Tables 3 and 4",
            bool((best - am).mean() > 0),
            f"best of {len(t3) - 1} β minus [9, 11], in points: {listing((best - am).round(3))}; "
            f"{by_beta} of the {len(t3) - 1} β are better on all three",
        ),
        Claim(
            "“when β = 2, the test accuracy is better than the scaled Softmax loss (β = 0)”",
            "IAM §5.2, Table 3",
            bool((t3.loc[2.0] > t3.loc[0.0]).all()),
            f"in points: {listing((t3.loc[2.0] - t3.loc[0.0]).round(3))}",
        ),
        Claim(
            "“β should be chosen less than 1” (read as: the best β of Table 3 are)",
            "IAM §4.1, Table 3",
            bool((t3.idxmax() < 1).all()),
            f"best β: {listing(t3.idxmax())}; on YTF β = 2 is better than "
            f"{int((t3.YTF[2.0] > t3.YTF[below[below > 0]]).sum())} of the {int((below > 0).sum())} β between 0 and 1",
        ),
    ]


def _on_table_4() -> list[Claim]:
    t4 = grid("iam", 4, "beta")[TESTS]
    small = t4.loc[(t4.index > 0) & (t4.index < 1)]
    better = small > t4.loc[0.0]
    everywhere = [f"{beta:g}" for beta in small.index[better.all(axis=1)]]
    return [
        Claim(
            "“the accuracy when β > 1 is worse than that when β = 0”",
            "IAM §5.2, Table 4",
            bool((t4.loc[2.0] < t4.loc[0.0]).all()),
            f"β = 2 minus β = 0, in points: {listing((t4.loc[2.0] - t4.loc[0.0]).round(3))}",
        ),
        Claim(
            "“our proposed IAM loss can improve the face verification accuracy of the recent angular loss” (read as: some "
            "β does on all three test sets)",
            "IAM §5.2, Table 4",
            bool(everywhere),
            f"of {len(small)} β below 1 only {', '.join(everywhere)} does; {int(better.sum().sum())} of {better.size} "
            "numbers are higher than without IAM",
        ),
    ]


def _on_tables_5_and_6() -> list[Claim]:
    t5: Numbers = published.table("iam", 5)
    t6: Numbers = published.table("iam", 6)
    gains = group_gains()
    lower = [f"{base} on {test} ({gain:+.3f})" for (base, test), gain in gains["best"].items() if gain <= 0]
    rank1 = t6.set_index("method").value
    mega = (t6[t6.beta > 0].groupby("base_loss", sort=False).value.max() - t6[t6.beta == 0].set_index("base_loss").value).round(
        3
    )
    worse = t6[t6.beta > 0].merge(t6[t6.beta == 0], on="base_loss").query("value_x < value_y")
    off = repeated_numbers()
    bold = t5.assign(best=t5.value == t5.groupby(["base_loss", "benchmark"]).value.transform("max"))
    wrong = bold[bold.best != (bold.bold == 1)]
    return [
        Claim(
            "IAM “not only can largely improve the performance of the scaled Softmax loss in Eq.(3), but also can "
            "further improve "
            "the accuracies of the state-of-the-art methods” (read as: of each, on average over the test sets, with the "
            "best β)",
            "IAM §5.2, Table 5",
            bool((gains.best.groupby(level=0).mean() > 0).all()),
            f"{len(gains) - len(lower)} of {len(gains)} numbers are higher; not {', '.join(lower)}. Counting every β, "
            f"{int(gains.higher.sum())} of {int(gains.tried.sum())} numbers are higher",
        ),
        Claim(
            "NormFace: “our IAM loss can improve its accuracy remarkably” (read as: by more than half a point)",
            "IAM §4.2, Table 5",
            bool((gains.loc["Eq.(3)", "best"] > 0.5).all()),
            f"in points: {listing(gains.loc['Eq.(3)', 'best'].round(3))}",
        ),
        Claim(
            '“In Table. 6, the accuracy of "Eq.(3) + IAM" is higher than "SphereFace [23]"”',
            "IAM §4.2, Table 6",
            bool((rank1.filter(regex=r"^Eq\.\(3\) \+") > rank1["SphereFace [23]"]).all()),
            f"{listing(rank1.filter(regex=r'^Eq|^SphereFace'))}; the extraction lost the names of Table 6, which are those of "
            "Table 5 in its order",
        ),
        Claim(
            "“the IAM loss still can improve the state-of-the-art methods” (read as: each of them, with the best β)",
            "IAM §5.2, Table 6",
            bool((mega > 0).all()),
            f"in points: {listing(mega)}; lower for {len(worse)} of {int((t6.beta > 0).sum())} β"
            + "".join(f" ({name})" for name in worse.method_x),
        ),
        Claim(
            "what Table 5 repeats of Tables 3 and 4 is the same number",
            "IAM Tables 3–5",
            off.empty,
            "; ".join(
                f"{row.method}, {row.benchmark}: {row.there} in Table {row.table}, {row.here} in Table 5"
                for row in off.itertuples()
            )
            + f"; {repeated_count() - len(off)} of {repeated_count()} agree",
            "misprint",
        ),
        Claim(
            "bold marks the best of each method and test set, but for few",
            "IAM Table 5",
            0 < len(wrong) < len(bold) / 20,
            f"{len(bold) - len(wrong)} of {len(bold)} are so; not "
            + ", ".join(f"{row.method} on {row.benchmark} {row.value_printed}" for row in wrong.itertuples())
            + ", whose bold the extraction most likely lost",
            "observation",
        ),
    ]


def _observed() -> list[Claim]:
    rows = risen_rows()
    everywhere = rows[rows.risen == len(TESTS)]
    sphere = rows[rows.base.str.startswith("SphereFace")]
    falls = "; ".join(f"β = {row.beta:g}: {row.fell}" for row in sphere.itertuples())
    betas = rows.groupby("base", sort=False).beta.agg(lambda group: ", ".join(f"{beta:g}" for beta in group))
    pooled: Numbers = group_gains().best.groupby(level=1, sort=False).mean()
    return [
        Claim(
            "SphereFace [23] is among the losses that §5.2 lists as improved, and not in the conclusion's list; no single β "
            "improves it on all three test sets",
            "IAM §5.2 and §6, Table 5",
            int(sphere.risen.max()) < len(TESTS),
            f"in points, what falls: {falls}",
            "observation",
        ),
        Claim(
            "in less than half of the rows with IAM all three test sets rise",
            "IAM Table 5",
            2 * len(everywhere) < len(rows),
            f"{len(everywhere)} of {len(rows)}: "
            + ", ".join(f"{base} {count} of {len(rows[rows.base == base])}" for base, count in _by_base(rows).items()),
            "observation",
        ),
        Claim(
            "averaged over the seven base losses, the best β is higher on every test set; which β were tried differs by row",
            "IAM Table 5",
            bool((pooled > 0).all()),
            f"in points: {listing(pooled.round(3))}; β: " + "; ".join(f"{base} {tried}" for base, tried in betas.items()),
            "observation",
        ),
    ]


def risen_rows() -> Numbers:
    """The rows of Table 5 with IAM: base loss, β, on how many test sets it is higher than without, and where it is lower."""
    t5: Numbers = published.table("iam", 5)
    plain = t5[t5.beta == 0].set_index(["base_loss", "benchmark"]).value
    lines = []
    for (base, beta), group in t5[t5.beta > 0].groupby(["base_loss", "beta"], sort=False):
        gain: Numbers = group.set_index("benchmark").value - plain[base]
        lower = gain[gain <= 0].round(3)
        lines.append((base, beta, int((gain > 0).sum()), ", ".join(f"{test} {by:+g}" for test, by in lower.items())))
    return pd.DataFrame(lines, columns=["base", "beta", "risen", "fell"])


def _by_base(rows: Numbers) -> dict[str, int]:
    """In how many rows of each base loss all test sets rise."""
    full = rows.assign(full=rows.risen == len(TESTS))
    return {str(base): int(count) for base, count in full.groupby("base", sort=False).full.sum().items()}


def group_gains() -> Numbers:
    """For each base loss and test set of IAM Table 5: the gain of the best β, and how many of the β tried are higher."""
    t5: Numbers = published.table("iam", 5)
    lines = {}
    for (base, test), group in t5.groupby(["base_loss", "benchmark"], sort=False):
        change = group.value[group.beta > 0] - float(group.value[group.beta == 0].iloc[0])
        lines[base, test] = {"best": change.max(), "higher": int((change > 0).sum()), "tried": len(change)}
    return pd.DataFrame.from_dict(lines, orient="index")


def _repeated() -> Numbers:
    """The numbers that Table 5 shares with Table 3 (Eq. 3) and Table 4 (AM-loss)."""
    t5: Numbers = published.table("iam", 5)
    parts = []
    for number, pattern in ((3, r"^Eq\.\(3\)"), (4, r"^(?:AM|\[9\])")):
        here = t5[t5.method.str.contains(pattern)]
        parts.append(
            here.merge(published.table("iam", number), on=["beta", "benchmark"], suffixes=("", "_there")).assign(table=number)
        )
    both = pd.concat(parts, ignore_index=True)
    return both.assign(here=both.value_printed, there=both.value_printed_there)


def repeated_count() -> int:
    return len(_repeated())


def repeated_numbers() -> Numbers:
    """Those of them that differ."""
    both = _repeated()
    return both[both.value != both.value_there]
