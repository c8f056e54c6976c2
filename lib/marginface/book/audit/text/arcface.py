"""What ArcFace's text says of its Tables 2 to 11. Words in “ ” are the paper's own."""

import pandas as pd

from marginface.book import published
from marginface.book.audit.numbers.printed import Numbers, cites, grid, listing
from marginface.book.verdicts import Claim

TESTS = ["LFW", "CFP-FP", "AgeDB-30"]
SPHERE, COS, ARC4, ARC = "SphereFace", "CosineFace", "ArcFace m=0.4", "ArcFace m=0.5"


def losses() -> Numbers:
    """Table 7 with short names."""
    return grid("arcface", 7, "row").set_axis(["Softmax", SPHERE, COS, ARC4, ARC])


def claims() -> list[Claim]:
    return _on_networks() + _on_losses() + _on_megaface() + _on_triplet()


def _on_networks() -> list[Claim]:
    t2, t3, t4 = (grid("arcface", number, "backbone") for number in (2, 3, 4))
    decay = grid("arcface", 5, "weight_decay").set_axis(["5e-6", "5e-5", "5e-4", "1e-3"])
    backbones = grid("arcface", 8, "backbone")
    cost: Numbers = published.table("arcface", 8).pivot_table("value", "backbone", "metric", sort=False)
    inception = "LIception-ResNet-v2"
    large: Numbers = pd.DataFrame({kind: t2.loc[f"SE-LResNet50{kind}"] - t2.loc[f"SE-ResNet50{kind}"] for kind in "DE"})
    block = t4.loc["SE-LResNet50E-IR"] - t4.loc["SE-LResNet50E"]
    harder = backbones[["CFP-FP", "AgeDB-30"]]
    lead = {test: str(backbones[test].idxmax()) for test in TESTS}
    drop = backbones.max() - backbones.loc["LMobileNetE"]
    errors = ((100 - backbones.loc["LMobileNetE"]) / (100 - backbones.max()))[TESTS]
    options = [t3.filter(regex=pattern, axis=0) for pattern in ("50.$", "-IR$")]
    return [
        Claim(
            "“choosing larger feature maps during training obtains higher verification accuracy”",
            "§3.2.5, Table 2",
            bool((large > 0).all(axis=None)),
            f"higher by {large.min(axis=None):.2f} to {large.max(axis=None):.2f} points",
        ),
        Claim(
            "“The option E (BN-Dropout-FC-BN) obtains the best performance”",
            "§3.2.5, Table 3",
            all(str(group[test].idxmax()).removesuffix("-IR").endswith("E") for group in options for test in TESTS),
            f"best on all {len(TESTS)} test sets, of {len(options[0])} options without IR and of {len(options[1])} with",
        ),
        Claim(
            "the improved residual unit “can obviously improve the verification performance” (read as: it is higher)",
            "§3.2.5, Table 4",
            bool((block > 0).all()),
            f"higher by {listing(block.round(2))} points",
        ),
        Claim(
            "“The Inception-Resnet-V2 network obtains the best performance with long running time (53.6ms) and largest model "
            "size (642MB)” (read as: on CFP-FP and AgeDB-30, which the paper names)",
            "§3.2.5, Table 8",
            bool((harder.idxmax() == inception).all())
            and cost.model_size_MB.idxmax() == inception
            and (cost.model_size_MB[inception], cost.speed_ms[inception]) == (642, 53.6),
            f"best: {', '.join(f'{test} {name}' for test, name in lead.items())}",
        ),
        Claim(
            "“MobileNet can finish face feature embedding within 4.2ms with a model of 112MB, and the performance only drops "
            "slightly” (read as: it is lower)",
            "§3.2.5, Table 8",
            bool((drop[TESTS] > 0).all()) and (cost.model_size_MB["LMobileNetE"], cost.speed_ms["LMobileNetE"]) == (112, 4.2),
            f"below the best by {listing(drop[TESTS].round(2))} points; its errors are those of the best network times "
            f"{listing(errors.round(2))}",
        ),
        Claim(
            "“when the weight decay value is set as 5e − 4, the verification accuracy reaches the highest point”",
            "§3.2.5, Table 5",
            bool((decay.idxmax() == "5e-4").all()),
            f"highest on {int((decay.idxmax() == '5e-4').sum())} of {len(TESTS)} test sets",
        ),
    ]


def _on_losses() -> list[Claim]:
    t6, t7 = grid("arcface", 6, "m"), losses()
    rising = {test: bool((t6[test].loc[0.2:0.5].diff().dropna() >= 0).all()) for test in TESTS}
    falling = {test: bool((t6[test].loc[0.5:0.8].diff().dropna() <= 0).all()) for test in TESTS}
    over_softmax = t7.drop("Softmax") - t7.loc["Softmax"]
    over_sphere = t7.loc[[COS, ARC]] - t7.loc[SPHERE]
    arc, arc4 = t7.loc[ARC] - t7.loc[COS], t7.loc[ARC4] - t7.loc[COS]
    everywhere: Numbers = pd.concat(
        [grid("arcface", number, key)[TESTS] for number, key in ((3, "backbone"), (8, "backbone"), (7, "row"))]
    )
    mine = t7.loc[[ARC4, ARC]].max()
    higher = [test for test in TESTS if everywhere[test].max() > mine[test]]
    same = grid("arcface", 8, "backbone").loc["LResNet100E-IR", TESTS]
    return [
        Claim(
            "“the performance improves consistently from m = 0.2 on all datasets and gets saturated at m = 0.5” (read as: it "
            "does not fall on the way, and is highest at 0.5)",
            "§3.3, Table 6",
            all(rising.values()) and bool((t6[TESTS].idxmax() == 0.5).all()),
            f"highest at 0.5 on {int((t6[TESTS].idxmax() == 0.5).sum())} of {len(TESTS)}; falls on the way on "
            + ", ".join(f"{test} ({', '.join(f'{v:g}' for v in t6[test].loc[0.2:0.5])})" for test in TESTS if not rising[test]),
        ),
        Claim(
            "“Then, the verification accuracy turns to decrease from m = 0.5” (read as: it is lower at every m above)",
            "§3.3, Table 6",
            bool((t6[TESTS].loc[0.6:] < t6[TESTS].loc[0.5]).all(axis=None)),
            "not step by step, though: it rises again on "
            + ", ".join(
                f"{test} ({', '.join(f'{v:g}' for v in t6[test].loc[0.5:0.8])})" for test in TESTS if not falling[test]
            ),
        ),
        Claim(
            "“Compared to Softmax, SphereFace, CosineFace and ArcFace improve the performance obviously” (read as: they are "
            "higher)",
            "§3.3, Table 7",
            bool((over_softmax > 0).all(axis=None)),
            f"by {over_softmax.min(axis=None):.2f} to {over_softmax.max(axis=None):.2f} points",
        ),
        Claim(
            "“CosineFace and ArcFace obviously outperform SphereFace” (read as: they are higher, ArcFace with its m = 0.5)",
            "§3.3, Table 7",
            bool((over_sphere > 0).all(axis=None)),
            f"by {over_sphere.min(axis=None):.2f} to {over_sphere.max(axis=None):.2f} points",
        ),
        Claim(
            "“ArcFace is slightly better than CosineFace” (read as: with its m = 0.5, on all three test sets)",
            "§3.3, Table 7",
            bool((arc > 0).all()),
            f"m = 0.5 against CosineFace, in points: {listing(arc.round(2))}; m = 0.4: {listing(arc4.round(2))}",
        ),
        Claim(
            "“The proposed ArcFace achieves state-of-the-art performance on all of these four datasets” (read as: none of the "
            "paper's own LFW, CFP-FP and AgeDB-30 numbers is higher)",
            "§3, Tables 3, 7, 8",
            not higher,
            f"higher on {', '.join(higher)}: {everywhere[higher].max().max():g} by Softmax on VGG2 against "
            f"{mine[higher].max():g} by ArcFace on MS1M; with ArcFace's network, LResNet100E-IR, Softmax on VGG2 has "
            f"{same[higher].max():g}",
        ),
    ]


def megaface(number: int) -> Numbers:
    """Table 9 or 10: one row for each printed row, columns named as in the paper."""
    table = published.table("arcface", number)
    refined = table.benchmark.str.contains("(R)", regex=False).map({True: " (R)", False: ""})
    table["column"] = table.metric.map({"rank1@1e6_pct": "Rank1", "tar@far=1e-6_pct": "VR"}) + refined
    return table.pivot_table("value", "row", "column", sort=False)


def _on_megaface() -> list[Claim]:
    t9, t10 = megaface(9), megaface(10)
    arc, cos, softmax, sphere = 7, 5, 1, 4
    refined, refined10 = (table["Rank1 (R)"] - table["Rank1"] for table in (t9, t10))
    cleaned = pd.concat([refined, refined10])
    over = (t10.loc[5] - t10.loc[2]).round(2)
    exception = over.index[over < 0].tolist()
    loss = (t9.loc[arc] - t10.loc[5]).round(2)
    return [
        Claim(
            "“The proposed ArcFace obtains the best performance before and after the distractors refinement”",
            "§3.4, Table 9",
            bool((t9.idxmax() == arc).all()),
            f"highest in {int((t9.idxmax() == arc).sum())} of {len(t9.columns)} columns, over CosineFace by "
            f"{listing((t9.loc[arc] - t9.loc[cos]).round(2))} points and over SphereFace by "
            f"{listing((t9.loc[arc] - t9.loc[sphere]).round(2))}",
        ),
        Claim(
            "“After the overlapped face images are removed from the one million distractors, the identification performance "
            "significantly improves”",
            "§3.4, Table 9",
            bool((refined > 0).all()),
            f"by {refined.min():.2f} to {refined.max():.2f} points",
        ),
        Claim(
            "“add one additional feature dimension to distinguish these noisy faces, which can increase the identification "
            "accuracy by about 15%” (read as: on average over the rows, to 2 points)",
            "§3.1.3, Tables 9 and 10",
            bool(abs(cleaned.mean() - 15) < 2),
            f"{cleaned.mean():.1f} points on average; {refined.min():.2f} to {refined.max():.2f} in Table 9, "
            f"{refined10.min():.2f} to {refined10.max():.2f} in Table 10",
        ),
        Claim(
            "“ArcFace still outperforms CosineFace with a slight performance drop compared to Table 9”, except for “the "
            "verification result” on the refined set",
            "§3.4, Table 10",
            exception in ([], ["VR (R)"]) and bool((loss > 0).all()),
            f"row 5 of Table 10 against CosineFace: {listing(over)} points; against Table 9 lower by {listing(loss)}",
        ),
        cites(
            "“for Softmax, the identification rate drops obviously from 78.89% to 73.66%”",
            "§3.4",
            [t9.loc[softmax, "Rank1"], t10.loc[1, "Rank1"]],
            "Tables 9 and 10",
        ),
    ]


def _on_triplet() -> list[Claim]:
    t11: Numbers = published.table("arcface", 11).set_index("dataset_loss").value
    gains: Numbers = pd.Series(
        {name: t11.iloc[k + 1] - t11.iloc[k] for k, name in enumerate(t11.index) if "Triplet" not in str(name)}
    ).round(2)
    t9 = megaface(9)
    finetuned = (t9.loc[2] - t9.loc[1]).round(2)
    return [
        Claim(
            "Softmax, SphereFace, CosineFace and ArcFace are “further improved by Triplet loss fine-tuning”",
            "§3.5, Table 11",
            bool((gains > 0).all()),
            f"AgeDB-30, in points: {listing(gains)}; on MegaFace, Softmax in Table 9: {listing(finetuned)}",
        ),
    ]
