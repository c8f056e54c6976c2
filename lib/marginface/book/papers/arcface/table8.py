"""ArcFace Table 8: ten networks, their sizes and their speeds, which benchmarks/speeds.py measures."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import published
from marginface.book.items import Item, Results
from marginface.book.verdicts import Claim, Verdict, of_claims
from marginface.data.files import data_folder

# the paper's names, and ours where they differ: its bottleneck is a grouped one, see `backbones.lresnet`
NETWORKS = {
    name: name
    for name in ("LResNet50E-IR", "SE-LResNet50E-IR", "LResNet100E-IR", "SE-LResNet100E-IR", "LResNet101(Bottle Neck)-IR")
} | {name: name for name in ("LMobileNetE", "LDenseNet161E", "LDPN92E", "LDPN107E", "LIception-ResNet-v2")}
NETWORKS |= {"LResNet101(Bottle Neck)-IR": "LResNeXt101E-IR", "LIception-ResNet-v2": "LInception-ResNet-v2"}
BOTTLENECK, PLAIN_BOTTLENECK = "LResNet101(Bottle Neck)-IR", "LResNet101E-IR"
SIZE, SPEED = "model_size_MB", "speed_ms"
NEAR = 0.015  # by which share a computed size may differ from the printed one


@cache
def measured() -> pd.DataFrame:
    """What benchmarks/speeds.py has written, by the paper's names: parameters, size_mb, ms, device."""
    table = pd.read_csv(data_folder() / "backbones.csv").set_index("network")
    found = table.loc[list(NETWORKS.values())]
    return found.set_index(pd.Index(NETWORKS, name="network"))


def printed(metric: str) -> pd.Series:
    """The printed sizes in MB or speeds in ms, by the paper's names."""
    table = published.table("arcface", 8)
    own = table[table.metric == metric].set_index("backbone").value
    return own.loc[list(NETWORKS)]


def table() -> pd.DataFrame:
    """Size and speed as printed and as measured; the ranks are those of the speed, 1 the fastest."""
    ours, sizes, speeds = measured(), printed(SIZE), printed(SPEED)
    ranks = [column.rank().astype(int) for column in (speeds, ours.ms)]
    lines = [
        {
            "network": name,
            "parameters, million": f"{ours.parameters[name] / 1e6:.1f}",
            "MB, printed": f"{sizes[name]:.0f}",
            "MB, computed": f"{ours.size_mb[name]:.0f}",
            "ms, printed (P40)": f"{speeds[name]:.1f} ({ranks[0][name]})",
            "ms, measured": f"{ours.ms[name]:.0f} ({ranks[1][name]})",
        }
        for name in NETWORKS
    ]
    return pd.DataFrame(lines)


def machine() -> str:
    """What the speeds were measured on."""
    ours = measured()
    return f"{ours.device.iloc[0]}, one image at a time, PyTorch {ours.torch.iloc[0]}"


def agreement(one: pd.Series, other: pd.Series) -> float:
    """Spearman's correlation of two orders."""
    return float(np.corrcoef(one.rank(), other.rank())[0, 1])


def table8_claims(chosen: SimpleNamespace) -> list[Claim]:
    """What §3.2.5 says of sizes and speeds, and whether the printed numbers are those of the networks."""
    ours, sizes, speeds = measured(), printed(SIZE), printed(SPEED)
    off = (ours.size_mb / sizes - 1).abs()
    plain = float(pd.read_csv(data_folder() / "backbones.csv").set_index("network").size_mb[PLAIN_BOTTLENECK])
    small, large = str(ours.size_mb.idxmin()), str(ours.size_mb.idxmax())
    fast, slow = str(ours.ms.idxmin()), str(ours.ms.idxmax())
    return [
        Claim(
            f"the printed sizes are those of the networks (read as: within {NEAR:.1%}, float32, without a classifier)",
            "Table 8",
            bool((off <= NEAR).all()),
            f"they differ by {off.min():.1%} to {off.max():.1%}",
        ),
        Claim(
            f"{BOTTLENECK} has the usual bottlenecks",
            "Table 8",
            abs(plain / sizes[BOTTLENECK] - 1) <= NEAR,
            f"with them it would have {plain:.0f} MB; the printed {sizes[BOTTLENECK]:.0f} are those of grouped ones, "
            f"{ours.size_mb[BOTTLENECK]:.0f}, which the authors' 2018 code has, too",
            "observation",
        ),
        Claim(
            "Inception-ResNet-v2 has the “largest model size”, MobileNet the smallest",
            "§3.2.5",
            (large, small) == ("LIception-ResNet-v2", "LMobileNetE"),
            f"{large} has {ours.size_mb[large]:.0f} MB, {small} {ours.size_mb[small]:.0f} MB",
        ),
        Claim(
            "MobileNet is the fastest",
            "§3.2.5",
            fast == "LMobileNetE",
            f"{fast} takes {ours.ms[fast]:.0f} ms; the slowest is {slow} with {ours.ms[slow]:.0f} ms, in the paper "
            f"{speeds.idxmax()} with {speeds.max():.1f} ms",
        ),
        Claim(
            "the networks are in the same order by their speed on another machine",
            "Table 8",
            agreement(speeds, ours.ms) > 0.999,
            f"the rank correlation is {agreement(speeds, ours.ms):.2f}",
            "observation",
        ),
        Claim(
            "LResNet100E-IR is a “trade-off between accuracy, speed and model size” (read as: no network with more on CFP-FP "
            "and AgeDB-30 is smaller and faster)",
            "§3.2.5",
            not (found := _ahead(ours)),
            f"ahead of it in all four: {', '.join(found) or 'none'}",
        ),
    ]


def _ahead(ours: pd.DataFrame, of: str = "LResNet100E-IR") -> list[str]:
    """The networks that are printed with more on CFP-FP and on AgeDB-30, and are smaller and faster here."""
    table = published.table("arcface", 8)
    tests = [table[table.benchmark == test].set_index("backbone").value for test in ("CFP-FP", "AgeDB-30")]
    return [
        name
        for name in NETWORKS
        if all(test[name] > test[of] for test in tests)
        and ours.size_mb[name] < ours.size_mb[of]
        and ours.ms[name] < ours.ms[of]
    ]


def judge(results: Results) -> Verdict:
    """Of sizes and speeds; the accuracies need trainings."""
    verdict = of_claims(table8_claims(results.settings))
    word = "reproduced in part" if verdict.word == "reproduced" else verdict.word
    return replace(verdict, word=word, evidence=("sizes and speeds only; accuracies not yet", *verdict.evidence))


TABLE8 = Item(
    "ArcFace",
    "Table 8",
    notebook="arcface/table8",
    statements=table8_claims,
    judge=judge,
)
