"""What PAM's text says of its tables. Words in “ ” are the paper's own."""

import math
import re

from marginface.book import published
from marginface.book.audit.numbers.printed import Numbers, grid, listing
from marginface.book.verdicts import Claim

IMAGES, IDENTITIES = 3_050_000, 8000  # §4.1: "3.05 million facial images from more than 8,000 identities"
WAITING = 275  # §4.1: "λ is set to 0 in the first 275 epochs"


def claims() -> list[Claim]:
    return _on_table_2() + _observed()


def _on_table_2() -> list[Claim]:
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


def schedule() -> dict[str, float]:
    """PAM's training by Table 1 and §4.1: epochs, those with λ > 0 and their share, images an epoch, passes over the data."""
    settings: dict[str, str] = dict(published.table("pam", 1)[["parameter", "value_printed"]].itertuples(index=False))
    epochs = 1 + max(int(match[1]) for name in settings if (match := re.search(r"~(\d+)$", name)))  # numbered from 0
    images = int(settings["epoch size"]) * int(settings["batch size"])
    active = epochs - WAITING
    return {
        "epochs": epochs,
        "active": active,
        "share": active / epochs,
        "images": images,
        "passes": epochs * images / IMAGES,
        "passes with λ": active * images / IMAGES,
    }


def _observed() -> list[Claim]:
    plan = schedule()
    rates = published.table("pam", 1).set_index("parameter").value_printed.filter(like="LR of epoch")
    last = str(rates.index[-1])
    pairs = math.comb(IDENTITIES, 2)
    best = grid("pam", 2, "method").LFW.max()
    own = grid("arcface", 7, "row").LFW.set_axis(["Softmax", "SphereFace", "CosineFace", "ArcFace m=0.4", "ArcFace m=0.5"])
    cosface: Numbers = grid("interface", 6, "method").LFW["CosFace"]
    above = own[own > best]
    return [
        Claim(
            "λ is above 0 in the last quarter of the training, at the last learning rate",
            "PAM §4.1, Table 1",
            plan["share"] < 0.25 and int(re.findall(r"\d+", last)[0]) <= WAITING,
            f"{plan['active']:.0f} of {plan['epochs']:.0f} epochs ({plan['share']:.0%}), all at {rates.iloc[-1]}; with "
            f"{plan['images'] / 1000:.0f}k images an epoch {plan['passes']:.1f} passes over the data in all, "
            f"{plan['passes with λ']:.1f} of them with PAM. The λ that was found is not printed",
            "observation",
        ),
        Claim(
            "version 1 penalises as many pairs as there are classes, a small part of all",
            "PAM Eq. 6",
            IDENTITIES / pairs < 1e-3,
            f"{IDENTITIES:,} of {pairs:,} pairs, {IDENTITIES / pairs:.3%}, with {IDENTITIES:,} classes",
            "observation",
        ),
        Claim(
            "higher accuracies on LFW than PAM's had been printed; the footnote excuses the absence of ArcFace alone",
            "PAM §4.2, Table 2",
            len(above) > 0 and cosface > best,
            f"PAM {best:g}; ArcFace's v1 of 2018 has {listing(above)}; for CosFace (CVPR 2018) InterFace's Table VI "
            f"quotes {cosface:g}. "
            "Networks and training sets differ",
            "observation",
        ),
        Claim(
            "LFW, YTF, MegaFace and FaceScrub, which the abstract lists, are three benchmarks",
            "PAM abstract, §4.3",
            published.table("pam", 2).benchmark.nunique() == 2,
            "“MegaFace is set as the distractor set and FaceScrub is set as the testing set” of one challenge, beside "
            f"{' and '.join(published.table('pam', 2).benchmark.unique())}",
            "observation",
        ),
    ]
