"""Time and memory of a head's forward and backward pass, as ratios within one process.

    python benchmarks/heads.py                 the sizes below; some minutes on two cores
    python benchmarks/heads.py --device cuda

Time is over that of the three matrix products that any head needs: x·Wᵀ, g·W and gᵀ·x; and beside it over ArcFace's, each
over the products of its own process. Memory is the peak beyond the class
weights and their gradient. Every row is a process of its own; the median of several rounds counts, rounds alternate
between the head and the products.

Losses of pairs have no class weights: their rows say what they take over the same products, of a batch with as many images of
a person as they ask for. A tenth of the classes is what one process draws, and at least as many as there are samples;
benchmarks/sharded.py has several processes.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.adaptive import AdaCos, AdaFace, AdaptiveFace, CurricularFace, DynArcFace, ElasticFace, MagFace
from marginface.heads import MarginHead
from marginface.margins import ArcFace, InterFace
from marginface.pairwise import CirclePairLoss, ContrastiveLoss, NPairLoss, PairHead
from marginface.regularizers import IAM
from marginface.sharded import ShardedMarginHead
from marginface.spread import MarginalLoss, RangeLoss, UniformFace
from marginface.variants import CircleLoss, SphereFace2, SphereFaceR, SubCenterArcFace

DIM = 512
ALL_PAIRS = "ours, ArcFace + UniformFace, all"  # C / N times the products: of few classes alone
SIZES = [(32, 100), (512, 85_742), (128, 85_742), (256, 1_000_000)]  # N, C; 85,742 is MS1MV2


class PlainArcFace(nn.Module):
    """What one would write first: the whole matrix, arccos, cross-entropy."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, DIM))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        theta = F.linear(F.normalize(x), F.normalize(self.weight)).clamp(-1 + 1e-7, 1 - 1e-7).acos()
        return F.cross_entropy(64 * (theta + 0.5 * F.one_hot(labels, len(self.weight))).cos(), labels)


class MetricLearningArcFace(nn.Module):
    """pytorch-metric-learning's ArcFaceLoss, which takes its margin in degrees."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        from pytorch_metric_learning.losses import ArcFaceLoss

        self.loss = ArcFaceLoss(classes, DIM, margin=math.degrees(0.5), scale=64)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.loss(x, labels)


HEADS: dict[str, Callable[[int], nn.Module]] = {
    "ours, ArcFace": lambda C: MarginHead(DIM, C, ArcFace()),
    "ours, ArcFace + IAM": lambda C: MarginHead(DIM, C, ArcFace(), [IAM(0.1)]),
    "ours, ArcFace, whole matrix": lambda C: MarginHead(DIM, C, ArcFace(), chunk_size=None),
    "ours, InterFace, constant d_inter": lambda C: MarginHead(DIM, C, InterFace.cid_ct()),
    "ours, InterFace, real d_inter": lambda C: MarginHead(DIM, C, InterFace.did_ct()),
    "ours, AdaFace": lambda C: MarginHead(DIM, C, AdaFace()),
    "ours, MagFace": lambda C: MarginHead(DIM, C, MagFace()),
    "ours, CurricularFace": lambda C: MarginHead(DIM, C, CurricularFace()),
    "ours, ElasticFace": lambda C: MarginHead(DIM, C, ElasticFace()),
    "ours, ElasticFace Cos": lambda C: MarginHead(DIM, C, ElasticFace(m=0.35, kind="cos")),
    "ours, ElasticFace+": lambda C: MarginHead(DIM, C, ElasticFace(plus=True)),
    "ours, AdaCos": lambda C: MarginHead(DIM, C, AdaCos()),
    "ours, AdaCos, fixed": lambda C: MarginHead(DIM, C, AdaCos(dynamic=False)),
    "ours, AdaptiveFace": lambda C: MarginHead(DIM, C, AdaptiveFace()),
    "ours, DynArcFace": lambda C: MarginHead(DIM, C, DynArcFace()),
    "ours, CircleLoss": lambda C: MarginHead(DIM, C, CircleLoss()),
    "ours, SphereFace2": lambda C: MarginHead(DIM, C, SphereFace2()),
    "ours, SphereFaceR": lambda C: MarginHead(DIM, C, SphereFaceR()),
    "ours, SubCenterArcFace": lambda C: MarginHead(DIM, C, SubCenterArcFace()),
    "ours, ArcFace + MarginalLoss": lambda C: MarginHead(DIM, C, ArcFace(), [MarginalLoss(1.0)]),
    "ours, ArcFace + RangeLoss": lambda C: MarginHead(DIM, C, ArcFace(), [RangeLoss(1.0, 1.0, 4.0)]),
    "ours, ArcFace + UniformFace, batch": lambda C: MarginHead(DIM, C, ArcFace(), [UniformFace(1.0, "batch")]),
    ALL_PAIRS: lambda C: MarginHead(DIM, C, ArcFace(), [UniformFace(1.0)]),
    "ours, ArcFace, a tenth of the classes": lambda C: ShardedMarginHead(DIM, C, ArcFace(), sample_rate=0.1),
    "ours, ContrastiveLoss": lambda C: PairHead(ContrastiveLoss()),
    "ours, NPairLoss": lambda C: PairHead(NPairLoss()),
    "ours, CirclePairLoss": lambda C: PairHead(CirclePairLoss()),
    "plain autograd, ArcFace": PlainArcFace,
    "pytorch-metric-learning, ArcFace": MetricLearningArcFace,
}
LARGE = ["ours, ArcFace", "ours, InterFace, real d_inter"]  # what is run with a million classes


def measure(name: str, N: int, C: int, device: str, rounds: int) -> dict[str, float]:
    """One row, in this process."""
    torch.manual_seed(0)
    head = HEADS[name](C).to(device)
    x, labels = torch.randn(N, DIM, device=device), torch.randint(C, (N,), device=device)
    if isinstance(head, PairHead):
        labels = labels.repeat_interleave(head.loss.each)[:N]
    before = _peak(device)

    def step() -> None:
        head.zero_grad(set_to_none=True)
        head(x.detach().requires_grad_(), labels).backward()

    step()
    gradients = [p.grad for p in head.parameters() if p.grad is not None]
    extra = _peak(device) - before - sum((g._values() if g.is_sparse else g).nbytes for g in gradients)
    head.zero_grad(set_to_none=True)
    weights = [p.detach().reshape(-1, DIM)[:C] for p in head.parameters() if p.numel() >= C * DIM]
    weight = weights[0] if weights else torch.randn(C, DIM, device=device)

    def products() -> None:
        g = x @ weight.T
        g @ weight
        g.T @ x

    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_seconds(step, device))
        theirs.append(_seconds(products, device))
    return {"ratio": statistics.median(ours) / statistics.median(theirs), "seconds": statistics.median(ours), "extra": extra}


def _seconds(action: Callable[[], None], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _peak(device: str) -> int:
    """The most memory that was ever in use, in bytes."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", nargs=2, type=int, metavar=("N", "C"), help="one size alone")
    parser.add_argument("--one", nargs=3, metavar=("HEAD", "N", "C"), help="measure one row and print it as JSON")
    options = parser.parse_args()
    if options.one:
        name, N, C = options.one
        print(json.dumps(measure(name, int(N), int(C), options.device, options.rounds)))
        return
    for N, C in [tuple(options.size)] if options.size else SIZES:
        print(f"\nN = {N}, C = {C:,}, d = {DIM}, {options.device}")
        print(f"{'':38}{'time / products':>16}{'over ArcFace':>14}{'seconds':>10}{'extra MB':>10}")
        arcface = math.nan
        few = [name for name in HEADS if C < 10_000 or name != ALL_PAIRS]
        for name in LARGE if C > 500_000 else few:
            command = [sys.executable, __file__, "--device", options.device, "--rounds", str(options.rounds), "--one", name]
            done = subprocess.run([*command, str(N), str(C)], capture_output=True, text=True)
            if done.returncode:
                print(f"{name:38} {done.stderr.strip().splitlines()[-1]}")
                continue
            row = json.loads(done.stdout)
            arcface = row["ratio"] if name == "ours, ArcFace" else arcface  # the first
            over = f"{row['ratio']:16.2f}{row['ratio'] / arcface:14.2f}"
            print(f"{name:38}{over}{row['seconds']:10.2f}{row['extra'] / 1e6:10.0f}", flush=True)


if __name__ == "__main__":
    main()
