"""What the texts of IAM and PAM say of their tables. Words in “ ” are the papers' own."""

import pandas as pd

from marginface.book import published
from marginface.book.audit.numbers.printed import Numbers, cites, grid, listing
from marginface.book.verdicts import Claim

TESTS = ["LFW", "YTF", "CFP-FP"]


def iam_claims() -> list[Claim]:
    return _on_table_2() + _on_table_3() + _on_table_4() + _on_tables_5_and_6()


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
            "“which is even better than the work of [9, 11] (e.g. 99.117% vs. 99.067% on LFW)” (read as: on every test set, "
            "each with its best β)",
            "IAM §5.2, Tables 3 and 4",
            bool((best > am).all()),
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
            "IAM “can further improve the accuracies of the state-of-the-art methods” (read as: of each, on each test set, "
            "with the best β)",
            "IAM §5.2, Table 5",
            not lower,
            f"{len(gains) - len(lower)} of {len(gains)} are higher; not {', '.join(lower)}. Counting every β, "
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
        ),
        Claim(
            "bold marks the best of each method and test set",
            "IAM Table 5",
            wrong.empty,
            f"{len(wrong)} of {len(bold)} marks are not so: "
            + ", ".join(f"{row.method} on {row.benchmark} {row.value_printed}" for row in wrong.itertuples())
            + " (in the paper, or lost in extraction)",
        ),
    ]


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


def pam_claims() -> list[Claim]:
    t2 = grid("pam", 2, "method")
    images = published.table("pam", 2).drop_duplicates("method").set_index("method").images
    v1, v2 = t2.loc["PAM loss v1"], t2.loc["PAM loss v2"]
    others = t2.drop(["PAM loss v1", "PAM loss v2"])
    named = ["Softmax", "ICML16' L-Softmax", "CVPR17' A-Softmax", "AM-Softmax"]
    facenet, marginal = "ICCV15' FaceNet", "CVPR17' Marginal Loss"
    said = (images[facenet], images["PAM loss v1"])
    less = [name for name in others.index if others.LFW[name] >= v1.LFW]
    return [
        Claim(
            "“On LFW, both versions of PAM loss outperform the related methods: Softmax, L-Softmax, A-Softmax and AM-Softmax”",
            "PAM §4.2, Table 2",
            min(v1.LFW, v2.LFW) > t2.LFW[named].max(),
            f"{v1.LFW:g} and {v2.LFW:g}; {listing(t2.LFW[named])}",
        ),
        Claim(
            "“FaceNet has the same accuracy as the proposed PAM loss v1”",
            "PAM §4.2, Table 2",
            bool(t2.LFW[facenet] == v1.LFW),
            f"both {v1.LFW:g} on LFW",
        ),
        Claim(
            "“FaceNet [18] uses 200 million images for training whilst the PAM loss only uses 3.05 million images”",
            "PAM §4.2, Table 2",
            said == ("200M", "3.05M"),
            f"{said[0]} and {said[1]}",
        ),
        Claim(
            "“Compared with the other state-of-the-art methods, PAM loss has the highest verification accuracy” (read as: "
            "on LFW, but for FaceNet)",
            "PAM §4.2, Table 2",
            less == [facenet],
            f"as high or higher: {', '.join(less)}; next {listing(others.LFW.drop(less).nlargest(1))}",
        ),
        Claim(
            "“On YTF dataset, PAM loss v1 has an accuracy of 96.14%, which is higher than all the other methods”",
            "PAM §4.2, Table 2",
            bool(v1.YTF == 96.14 and others.YTF.max() < v1.YTF),
            f"next {listing(others.YTF.nlargest(1))}",
        ),
        Claim(
            "“PAM loss v2 is similar on accuracy to Marginal loss, but Marginal loss uses a larger training set and has "
            "poorer performance on LFW”",
            "PAM §4.2, Table 2",
            bool(t2.YTF[marginal] == v2.YTF and t2.LFW[marginal] < v2.LFW),
            f"YTF {v2.YTF:g} and {t2.YTF[marginal]:g}; images {images['PAM loss v2']} and {images[marginal]}; LFW {v2.LFW:g} "
            f"and {t2.LFW[marginal]:g}",
        ),
        Claim(
            "“the proposed method has state-of-the-art performance” (read as: nothing in Table 2 is higher)",
            "PAM abstract, Table 2",
            bool((t2.max() == v1).all()),
            f"v1 {listing(v1)}; the best of all others {listing(others.max())}",
        ),
    ]


def claims() -> list[Claim]:
    return iam_claims() + pam_claims()
