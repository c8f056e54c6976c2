"""What InterFace says of its tables in words: adjectives, captions, and what stands in the tables without being said.

Words in “ ” are the paper's own.
"""

import pandas as pd

from marginface.book import published
from marginface.book.audit.numbers.granularity import PAIRS
from marginface.book.audit.numbers.printed import Numbers, listing, rank
from marginface.book.audit.text.interface import CID, DID, DT, OURS, by_test, results
from marginface.book.verdicts import Claim

VERY_CLOSE = 2.0  # points below the best: more than any reader would call very close


def claims() -> list[Claim]:
    return [*_on_closeness(), *_on_age(), *_on_table_7(), *_on_parameters(), *_on_captions(), *_observed()]


def _on_closeness() -> list[Claim]:
    behind: Numbers = pd.Series({test: values[OURS].max() - values.drop(OURS).max() for test, values in by_test().items()})
    behind = behind[behind < 0].round(2)
    far = behind[behind < -VERY_CLOSE]
    return [
        Claim(
            "“achieves stateof-the-art in 5 of the 13 benchmarks, and is also very close to the state-of-the-art in the "
            "other 8 "
            f"benchmarks” (read as: at most {VERY_CLOSE:g} points below the best)",
            "§IV",
            len(behind) == 8 and far.empty,
            f"further below on {len(far)} of {len(behind)}; in points: "
            + ", ".join(f"{test} {gap:+.2f}" for test, gap in behind.sort_values().items()),
        )
    ]


def _on_age() -> list[Claim]:
    tests = by_test()
    lead = {test: tests[test][OURS].max() - tests[test].drop(OURS).max() for test in ("AgeDB-30", "CALFW")}
    told = ", ".join(
        f"{test} {gap:+.2f} points, {gap * PAIRS[test] / 100:.0f} of {PAIRS[test]:,} pairs" for test, gap in lead.items()
    )
    sentences = {
        "“This significantly improves the performance in age-changing scenarios”": "§IV a",
        "“By comparing the final results we can conclude that InterFace has better generalization ability for age-related "
        "benchmarks”": "§V",
    }
    return [
        Claim(
            f"{text} (read as: it is higher than every other on AgeDB-30 and CALFW)",
            source,
            min(lead.values()) > 0,
            f"{told} above the next; what so few pairs can show is on the page of noise",
        )
        for text, source in sentences.items()
    ]


def _on_table_7() -> list[Claim]:
    columns = {test: values for test, values in by_test().items() if test.startswith("IJB")}
    below = [f"{name} on {test}" for test, values in columns.items() for name in (CID, DT) if values[name] < values[DID]]
    beaten = [test for test, values in columns.items() if values.drop(OURS).max() > values[[CID, DT]].max()]
    whole: Numbers = pd.DataFrame(columns).dropna().mean(axis=1)
    rest = whole.drop(OURS)
    return [
        Claim(
            "“we can find that InterFace_{cid&ct} and InterFace_{did&dt} have a better performance compared to "
            "InterFace_{did&ct} and other solutions” (read as: on average over Table VII's columns, among those with a "
            "number in "
            "each)",
            "§IV c, Table VII",
            bool(whole[[CID, DT]].min() > max(whole[DID], rest.max())),
            f"means: {listing(whole[OURS].round(2))}; {rest.idxmax()} {rest.max():.2f}. Below did&ct: {', '.join(below)}; some "
            f"other solution is above both in {len(beaten)} of {len(columns)} columns",
        )
    ]


def _on_parameters() -> list[Claim]:
    tried = {(row.alpha, row.a) for number in (2, 3) for row in published.table("interface", number).itertuples()}
    crossed = [(alpha, a) for alpha, a in tried if (alpha, a) not in {(0.1, other) for _, other in tried} and a != 0.2]
    reported = published.table("interface", 8).metric.drop_duplicates().tolist()
    return [
        Claim(
            "“the result that α and a are related is shown by Tabel.II and Tabel.III” (read as: some setting there has both "
            "changed at once)",
            "§II d",
            bool(crossed),
            f"of {len(tried)} settings, {sum(alpha == 0.1 for alpha, _ in tried)} have α = 0.1 and "
            f"{sum(a == 0.2 for _, a in tried)} "
            f"have a = 0.2, {len(crossed)} neither: one at a time, no dependence of one on the other can be seen",
        ),
        Claim(
            "“MegaFace(Rank-1) [12] and MageFace(R)(Rank-1) [5] report our model performance with Rank-1 and true "
            "acceptance rates "
            "(TAR) at false acceptance rates (FAR) of 1e-6, respectively”",
            "§III c",
            any(metric.startswith("tar") for metric in reported),
            "Table VIII has "
            f"{' and '.join(metric.removesuffix('_pct').replace('rank1', 'Rank-1') for metric in reported)} alone",
        ),
        Claim(
            "did&ct: “set the hyperparameter b = 0 and experiment to obtain the values of a and b”",
            "§II c",
            "b" in published.table("interface", 4),
            "b is 0, and Table IV varies a at a fixed α: “α and a” is meant, as for cid&ct",
            "misprint",
        ),
    ]


def _on_captions() -> list[Claim]:
    tests = by_test()
    second = [test for test in ("LFW", "CALFW") if rank(tests[test], _best(tests[test])) > 1]
    fives = [test for test in ("IJB-B at 1e-5", "IJB-C at 1e-5") if rank(tests[test], _best(tests[test])) == 1]
    return [
        Claim(
            "“InterFace scored very close to the state-of-the-art on LFW and CALFW” (read as: not at the top)",
            "Table VI, caption",
            len(second) == 2,
            f"so on {', '.join(second)}; on CALFW it is the best, as the sentence before says. CFP-FP may be meant",
            "misprint",
        ),
        Claim(
            "the caption of Table VII names one column in which InterFace extends the state of the art, §IV two",
            "Table VII, caption",
            fives == ["IJB-B at 1e-5", "IJB-C at 1e-5"],
            f"“On IJB-C(Tar@Far=1e-5)”; by the numbers {' and '.join(fives)}",
            "observation",
        ),
        Claim(
            "“MegaFace(R) is refined in [paper]”, “tiFace scores”, “MageFace(R)”",
            "Tables VII and VIII, captions, §III c",
            False,
            "a reference that was not filled in, InterFace, MegaFace (or lost in extraction)",
            "misprint",
        ),
    ]


def _best(values: Numbers) -> str:
    return str(values[OURS].idxmax())


def _observed() -> list[Claim]:
    tests = by_test()
    quoted = {test: values for test, values in tests.items() if not test.startswith("IJB")}
    below = {name: [test for test, values in quoted.items() if values[name] <= values["Arcface"]] for name in OURS}
    softmax = "Softmax*"
    six, five = tests["IJB-B at 1e-6"], tests["IJB-B at 1e-5"]
    moved = train_sets_that_differ()
    return [
        Claim(
            f"of the three, only {DT} is above the quoted ArcFace on every test of Tables VI and VIII",
            "Tables VI and VIII",
            below[DT] == [] and min(len(below[CID]), len(below[DID])) > 0,
            "; ".join(
                f"{name} is not on {', '.join(f'{t} ({quoted[t][name]:g}, ArcFace {quoted[t].Arcface:g})' for t in where)}"
                for name, where in below.items()
                if where
            ),
            "observation",
        ),
        Claim(
            f"{softmax} is among the best on IJB-B at 1e-6 and among the last at 1e-5",
            "Table VII",
            rank(six, softmax) == 2 and rank(five, softmax) == len(five) - 1,
            f"{six[softmax]:g} is rank {rank(six, softmax)} of {len(six)}, above all of InterFace, and {five[softmax]:g} rank "
            f"{rank(five, softmax)} of {len(five)}: at 1e-6 few impostor pairs decide, and order says little",
            "observation",
        ),
        Claim(
            "some methods have another training set or reference in one of Tables VI to VIII than in the next",
            "Tables VI–VIII",
            not moved.empty,
            "; ".join(f"{row.method}: {row.listed}" for row in moved.itertuples()),
            "observation",
        ),
    ]


def train_sets_that_differ() -> pd.DataFrame:
    """Methods whose training set or reference is not the same in all tables of results that list them."""
    listed: Numbers = results().drop_duplicates(["table", "method"])
    listed = listed[listed.ours == 0].assign(
        how=lambda rows: "[" + rows.cites.astype(str).str.removesuffix(".0") + "], " + rows.train_set
    )
    lines = [
        (str(method), " · ".join(f"Table {'V' + 'I' * (row.table - 5)} {row.how}" for row in group.itertuples()))
        for method, group in listed.groupby("method", sort=False)
        if len(set(group.how)) > 1
    ]
    return pd.DataFrame(lines, columns=["method", "listed"])
