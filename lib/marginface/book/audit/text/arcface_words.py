"""What ArcFace's text says around its tables, and what stands in the tables without being said.

Words in “ ” are the paper's own.
"""

from marginface.backbones.layers import halved
from marginface.book import published
from marginface.book.audit.numbers.printed import Numbers, grid, listing
from marginface.book.audit.text.arcface import COS, SPHERE, TESTS, losses, megaface
from marginface.book.verdicts import Claim

LARGE = [
    "LResNet100E-IR",
    "LIception-ResNet-v2",
    "LDenseNet161E",
    "LDPN92E",
    "LDPN107E",
    "SE-LResNet100E-IR",
]  # named in §3.2.5
FACESCRUB = (55_742, 52_076)  # photos of men and of women, §3.1.3


def claims() -> list[Claim]:
    return [*_on_data(), *_on_megaface(), *_on_words(), *_on_triplet()]


def side_without_l(side: int = 112) -> int:
    """The side of the last feature maps of a ResNet with conv7×7/2, max-pooling and four stages, padded as usual."""
    return halved(side, 5)  # each halving rounds up


def _on_data() -> list[Claim]:
    men, women = FACESCRUB
    return [
        Claim(
            "“FaceScrub is a publicly available dataset that containing 100k photos of 530 unique individuals, in which "
            "55, 742 "
            "images are males, and 52, 076 images are females” (read as: to a digit)",
            "§3.1.3",
            round(men + women, -5) == 100_000,
            f"together {men + women:,}",
        ),
        Claim(
            "“As shown in Figure 8(c), we rank all of the faces according to the cosine distance to the identity centre”",
            "§3.1.3",
            False,
            "Figure 8 (c) has “CMC curves of different methods”; Figure 5 (a) is meant, where the “cosine distance to "
            "the identity "
            "centre is put in bottom left”",
            "misprint",
        ),
        Claim(
            "without “L”, networks of the usual padding end in 4×4 at 112 pixels, where the paper has “only 3×3”",
            "§3.2.1, §3.2.5",
            side_without_l() == 4 and side_without_l(224) == 7,
            f"112 pixels are halved to {side_without_l()}, 224 to {side_without_l(224)}; 3 is what rounding down gives, "
            "and what "
            "the networks here do: a stride leaves out the last row and column of odd maps",
            "observation",
        ),
    ]


def _on_megaface() -> list[Claim]:
    t9, t10 = megaface(9), megaface(10)
    same = int((t9["VR"] == t9["VR (R)"]).sum())
    change = {f"Table {number} row {row}": table.loc[row] for number, table in ((9, t9), (10, t10)) for row in table.index}
    lower = {where: row for where, row in change.items() if row["VR (R)"] < row["VR"]}
    names = published.table("arcface", 10).drop_duplicates("row").method
    twice = sorted(names[names.duplicated()])
    rank1: Numbers = t9["Rank1"].loc[[4, 5, 6]].set_axis([SPHERE, COS, "ArcFace m=0.4"])
    return [
        Claim(
            "cleaning the distractors changes the verification rate (VR) of few rows, and lowers it in some",
            "Tables 9 and 10",
            same > 0 and len(lower) > 0,
            f"in {same} of {len(t9)} rows of Table 9 VR and VR (R) are the same number; lower in "
            + ", ".join(f"{where} ({row['VR']:g} to {row['VR (R)']:g})" for where, row in lower.items())
            + ", though at a fixed threshold taking wrong impostors away can only help. §3.4 has a cause: rates are read "
            "off that "
            "“are closest to FAR=1e-6”",
            "observation",
        ),
        Claim(
            "two rows of Table 10 have one name and other numbers",
            "Table 10",
            len(twice) > 0,
            f"{', '.join(twice)}; §3.4 says that LResNet100E-IR is used, which is in neither",
            "observation",
        ),
        Claim(
            "at rank 1 and before cleaning, SphereFace is ahead of CosineFace and of ArcFace with m = 0.4",
            "Table 9",
            rank1.idxmax() == SPHERE,
            f"{listing(rank1)}: not the order from Softmax to SphereFace, CosineFace and ArcFace that §2.8 explains",
            "observation",
        ),
        Claim(
            "what cleaning FaceScrub gives, “about 1%”, cannot be told from what cleaning the distractors gives",
            "§3.1.3, Tables 9 and 10",
            {column for column in t9.columns if "(R)" in column} == {"Rank1 (R)", "VR (R)"},
            "both are in the one column of the refined set",
            "observation",
        ),
    ]


def _on_words() -> list[Claim]:
    large = grid("arcface", 8, "backbone").loc[LARGE, ["CFP-FP", "AgeDB-30"]]
    spread = (large.max() - large.min()).round(2)
    t4 = grid("arcface", 4, "backbone")
    block = (t4.loc["SE-LResNet50E-IR"] - t4.loc["SE-LResNet50E"])[spread.index].round(2)
    t7 = losses()
    over: Numbers = (t7.loc[COS] - t7.loc[SPHERE])[TESTS].round(2)
    return [
        Claim(
            "gaps that are called “relatively small” are larger than improvements that are called “obviously”",
            "§3.2.5 and §3.3, Tables 4, 7 and 8",
            bool((spread > block).all()),
            f"in points: small among the large networks of Table 8, {listing(spread)}; obvious in Table 4, {listing(block)}; "
            f"obvious in Table 7 of CosineFace over SphereFace, {listing(over)}",
            "observation",
        )
    ]


def _on_triplet() -> list[Claim]:
    t11: Numbers = published.table("arcface", 11).set_index("dataset_loss").value
    two_steps, one_set = t11["VGG2@Softmax, MS1M@Triplet"], t11["MS1M@Softmax, MS1M@Triplet"]
    t9 = megaface(9)
    return [
        Claim(
            "triplet fine-tuning on MS1M gives more after Softmax on VGG2 than after Softmax on MS1M; on MegaFace it "
            "lowers the "
            "verification rate of the latter",
            "Tables 9 and 11",
            bool(two_steps > one_set and t9.loc[2, "VR"] < t9.loc[1, "VR"]),
            f"AgeDB-30: {two_steps:g} and {one_set:g}; VR in Table 9: {t9.loc[1, 'VR']:g} to {t9.loc[2, 'VR']:g}",
            "observation",
        )
    ]
