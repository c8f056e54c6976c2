"""A model of a training step with many classes: how long it takes, and what memory it needs, on how many GPUs.

For N samples of all R ranks, C classes, a share r of them met, and embeddings of length d, a rank has C/R classes and meets
K = max(r C/R, the batch's own, about N/R) of them. Its step is the network's, and

    head    K · (6 N d / F + N · e + d · u)     three products at F operations a second; what is done to each of the N × K
                                                logits; what is done to each class weight (normalising, the optimizer)
    drawing C/R · v                             numbers for all classes, and sorting them, where r < 1
    travel  N (2 d + 3) · 4 bytes / B · (R - 1)/R + 5 l log2 R    embeddings there, their gradients back, (max, sum) and own
                                                cosines; l is the time until the first byte arrives

Its memory is the network's, and the class weights with their momentum (8 d bytes for each of C/R), gradients and copies (4 d
bytes each for each of K), all ranks' embeddings, and the logits: 4 k bytes for each of N × K, or of N × (a chunk)
where they are streamed.

What is fitted is the network's time and memory, e (with u and v) and k, to what the authors of arcface_torch publish for 8 V100
(ResNet-50, mixed precision, 1,024 images a step). What is assumed stands in `Machine`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from marginface.data.files import data_folder

DIM, BATCH, GPUS = 512, 1024, 8  # of the published points
# classes, share of them met, images a second, MB of a GPU. arcface_torch's README ("Speed Benchmark": Model Parallel and
# Partial FC 0.1 on Tesla V100 32 GB × 8) and, for 3,000,000, docs/speed_benchmark.md, whose logs are of another version
PUBLISHED = (
    (125_000, 1.0, 4824, 5306),
    (1_400_000, 1.0, 3043, 11178),
    (5_500_000, 1.0, 1389, 32188),
    (125_000, 0.1, 5004, 4868),
    (1_400_000, 0.1, 4738, 6056),
    (5_500_000, 0.1, 3975, 9854),
    (8_000_000, 0.1, 3565, 12310),
    (16_000_000, 0.1, 2679, 19950),
    (29_000_000, 0.1, 1855, 32324),
)
ANOTHER = ((3_000_000, 1.0, 2270, 28900), (3_000_000, 0.1, 5300, 10380))


@dataclass(frozen=True)
class Machine:
    """What a rank can do. The rates of products are half of the V100's peaks, those of travel usual ones: assumed."""

    half: float = 62e12  # operations a second of products in half precision
    single: float = 7.8e12  # and in float32
    near: float = 100e9  # bytes a second between the GPUs of one machine
    far: float = 12e9  # and between machines
    latency: float = 20e-6  # seconds
    each: int = 8  # GPUs of a machine


@dataclass(frozen=True)
class Model:
    """The fitted numbers: seconds of the network for an image on a GPU; e, u and v, in seconds; MB of the network; k."""

    image: float
    logit: float
    weight: float
    drawn: float
    network: float
    copies: float
    machine: Machine = Machine()

    def step(self, setting: "Setting") -> dict[str, float]:
        """The seconds of a step, by part."""
        s, m = setting, self.machine
        met, held = s.met, s.classes / s.ranks
        rate = m.half if s.half else m.single
        travelling = s.samples * (2 * s.dim + 3) * 4 * (s.ranks - 1) / s.ranks
        return {
            "network": self.image * s.samples / s.ranks,
            "products": met * 6 * s.samples * s.dim / rate,
            "logits": met * s.samples * self.logit,
            "class weights": met * s.dim * self.weight,
            "drawing": held * self.drawn if s.share < 1 else 0.0,
            "travel": travelling / (m.near if s.ranks <= m.each else m.far) + 5 * m.latency * np.log2(max(s.ranks, 1)),
        }

    def memory(self, setting: "Setting") -> float:
        """MB of a GPU."""
        s = setting
        met, held = s.met, s.classes / s.ranks
        tables = 8 * s.dim * held + (8 if s.share < 1 else 4) * s.dim * met
        logits = 4 * self.copies * s.samples * met if s.chunk is None else 4 * 3 * s.samples * min(met, s.chunk) + s.kept
        gathered = 3 * 4 * s.dim * s.samples  # the embeddings of all ranks, their gradients, and once more in between
        return self.network * s.samples / s.ranks / (BATCH / GPUS) + (tables + logits + gathered) / 1e6


@dataclass(frozen=True)
class Setting:
    """A head and what it runs on. `chunk` streams the logits, with `kept` bytes for derivatives; None holds them all."""

    classes: float
    share: float = 1.0
    ranks: int = GPUS
    samples: int = BATCH
    dim: int = DIM
    half: bool = True
    chunk: int | None = None
    kept: float = 96 * 2**20

    @property
    def met(self) -> float:
        """Classes that a rank meets; with few classes, no fewer than are in the batch."""
        held = self.classes / self.ranks
        return min(held, max(self.share * held, self.samples / self.ranks))


def fitted(points: Sequence[tuple[int, float, float, float]] = PUBLISHED, machine: Machine = Machine()) -> Model:
    """The model that is nearest to published points, by relative errors; no time is negative.

    They are all of one batch and one d, so that what is done to logits and to class weights cannot be told apart: all of it
    is said to be the logits', which are 1,024 to a class.
    """
    bare = Model(0, 0, 0, 0, 0, 0, machine)
    rows, times, memories, spaces = [], [], [], []
    for classes, share, speed, megabytes in points:
        s = Setting(classes, share)
        known = sum(bare.step(s).values())
        rows.append([BATCH / GPUS, s.met * BATCH, s.classes / GPUS * (share < 1)])
        times.append((BATCH / speed, known))
        memories.append([1.0, 4 * BATCH * s.met / 1e6])
        spaces.append((megabytes, bare.memory(s)))
    whole, known_times = np.array(times).T
    image, logit, drawn = nnls(np.array(rows) / whole[:, None], (whole - known_times) / whole)[0]
    total, known_space = np.array(spaces).T
    network, copies = nnls(np.array(memories) / total[:, None], (total - known_space) / total)[0]
    return Model(image, logit, 0.0, drawn, network, copies, machine)


def check(model: Model | None = None) -> pd.DataFrame:
    """Published and modelled, side by side; the last two points were not fitted."""
    model = model or fitted()
    found = []
    for classes, share, speed, megabytes in PUBLISHED + ANOTHER:
        s = Setting(classes, share)
        modelled, space = BATCH / sum(model.step(s).values()), model.memory(s)
        found.append(
            {
                "classes": f"{classes:,}",
                "share": share,
                "images/s": f"{speed:,}",
                "model": f"{modelled:,.0f}",
                "error": f"{100 * (modelled / speed - 1):+.1f} %",
                "MB": f"{megabytes:,}",
                "model MB": f"{space:,.0f}",
                "error MB": f"{100 * (space / megabytes - 1):+.1f} %",
            }
        )
    return pd.DataFrame(found)


def reading() -> pd.DataFrame:
    """How fast images of a set in several files are read, by their order."""
    found = pd.read_csv(data_folder() / "reading.csv")
    named = {"in order": "as in the files", "random": "random", "blocks": "blocks of 1,000 at random, 100 at a time"}
    in_order = float(found.loc[found.order == "in order", "images_s"].iloc[0])
    return pd.DataFrame(
        {
            "order": found.order.map(named),
            "images/s": [f"{rate:,}" for rate in found.images_s],
            "of the order in the files": [f"{rate / in_order:.2f}" for rate in found.images_s],
        }
    )


def read_from() -> str:
    """Which set that was, and on what machine."""
    first = pd.read_csv(data_folder() / "reading.csv").iloc[0]
    size = f"{first.images:,} PNGs of 32 × 32 pixels in {first.classes:,} classes, {first.files} files, {first.set_MB:,} MB"
    return f"{size}; one thread of {first.device}, medians of {first.rounds} rounds; {first.held_MB} MB held beside them"


CHOICES: dict[str, dict[str, Any]] = {
    "all classes, float32 products": {"half": False},
    "all classes": {},
    "a tenth of them": {"share": 0.1},
}


def bottleneck(model: Model | None = None, ranks: Sequence[int] = (8, 64, 256, 1024), share: float = 1.0) -> pd.Series:
    """From how many classes on a head takes as long as its network, by the number of ranks; 128 images on each."""
    model = model or fitted()
    found = {}
    for count in ranks:
        classes = np.geomspace(1e4, 1e11, 3000)
        parts = [model.step(Setting(c, share, count, 128 * count)) for c in classes]
        longer = [sum(p.values()) >= 2 * p["network"] for p in parts]
        found[count] = float(classes[int(np.argmax(longer))]) if any(longer) else float("inf")
    return pd.Series(found, name="classes")


def curves(model: Model | None = None, ranks: Sequence[int] = (8, 64, 1024)) -> Any:
    """Images a second of a GPU, and its memory, over the number of classes up to 100 million."""
    import matplotlib.pyplot as plt

    model = model or fitted()
    classes = np.geomspace(1e5, 1e8, 121)
    figure, axes = plt.subplots(2, len(ranks), figsize=(4 * len(ranks), 6), sharex=True, sharey="row", layout="constrained")
    for column, count in enumerate(ranks):
        for (name, choice), colour in zip(CHOICES.items(), ("C3", "C0", "C2"), strict=True):
            settings = [Setting(c, ranks=count, samples=128 * count, **choice) for c in classes]
            speed = [128 / sum(model.step(s).values()) for s in settings]
            axes[0, column].plot(classes, speed, color=colour, label=name)
            if name != "all classes, float32 products":
                axes[1, column].plot(classes, [model.memory(s) / 1e3 for s in settings], color=colour, label=name)
                streamed = [model.memory(replace(s, chunk=512)) / 1e3 for s in settings]
                axes[1, column].plot(classes, streamed, "--", color=colour, label=f"{name}, streamed")
        axes[0, column].set(title=f"{count:,} GPUs", xscale="log", ylim=(0, None))
        axes[1, column].set(xlabel="classes", yscale="log")
        axes[1, column].axhline(32, color="0.6", linewidth=1)
    axes[0, 0].set_ylabel("images a second and GPU")
    axes[1, 0].set_ylabel("GB of a GPU (grey: 32)")
    for row in axes:
        row[0].legend(fontsize=8)
    return figure


def measured() -> pd.DataFrame:
    """What benchmarks/sharded.py has written, as the page shows it."""
    table = pd.read_csv(data_folder() / "sharded.csv")
    return pd.DataFrame(
        {
            "classes": [f"{count:,}" for count in table.classes],
            "met": ["all" if share == 1 else f"{share:.0%}" for share in table.share],
            "processes": table.processes,
            "time / products": [f"{ratio:.2f}" for ratio in table.ratio],
            "MB a process": [f"{megabytes:,.0f}" for megabytes in table.MB],
            "MB sent": [f"{sent:.2f}" for sent in table.sent_MB],
            "by the formula": [f"{sent:.2f}" for sent in table.formula_MB],
        }
    )


def machine() -> str:
    """What that was measured on, in half a sentence."""
    table = pd.read_csv(data_folder() / "sharded.csv")
    first = table.iloc[0]
    return (
        f"ArcFace, N = {first.samples}, d = {first.dim}; the three products of {first.classes:,} classes take "
        f"{first.products_s:.2f} s of a thread of {first.device}, PyTorch {first.torch}"
    )
