"""Images a second of the networks, as ratios within one process.

    python benchmarks/backbones.py                              some minutes on one core
    python benchmarks/backbones.py --device cuda --compile      with bf16, and with torch.compile

First LResNet50E-IR at 112×112 beside the same network as one would write it first: one training step (forward, backward,
SGD) and inference, rounds alternate between the two. Then small networks on small grey faces. On one CPU thread seconds are
CPU time, so that other programs do not count; otherwise they are wall time.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.backbones import create

SMALL_SHAPES = [(1, 56, 56), (1, 64, 64)]
SMALL = [f"LResNet{depth}E{unit}-w{width}" for width in (16, 24, 32) for unit in ("", "-IR") for depth in (10, 18)]


class PlainUnit(nn.Module):
    """What one would write first."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs, eps=2e-5)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=2e-5)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps=2e-5)
        self.downsample: nn.Module | None = None
        if stride != 1:
            conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=2e-5))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.bn1(x))
        out = self.bn3(self.conv2(self.prelu(self.bn2(out))))
        identity = x if self.downsample is None else self.downsample(x)
        return out + identity


class PlainLResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps=2e-5)
        self.prelu = nn.PReLU(64)
        units = []
        inputs = 64
        for outputs, repeats in [(64, 3), (128, 4), (256, 14), (512, 3)]:
            for i in range(repeats):
                units.append(PlainUnit(inputs, outputs, stride=2 if i == 0 else 1))
                inputs = outputs
        self.units = nn.Sequential(*units)
        self.bn2 = nn.BatchNorm2d(512, eps=2e-5)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512, eps=2e-5)
        self.features.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.units(self.prelu(self.bn1(self.conv1(x))))
        x = F.dropout(self.bn2(x), 0.4, self.training)
        return self.features(self.fc(torch.flatten(x, 1)))


def same_network(ours: nn.Module, plain: nn.Module) -> None:
    """Gives `plain` the weights of `ours`, whose layers have the same order, and checks that both then say the same."""
    theirs = plain.state_dict()
    plain.load_state_dict(dict(zip(theirs, ours.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, 112, 112)
    with torch.no_grad():  # in evaluation mode, as dropout would differ
        torch.testing.assert_close(ours.eval()(images), plain.eval()(images), rtol=1e-4, atol=1e-4)


def training(network: nn.Module, images: Tensor, precision: Any) -> Callable[[], None]:
    """A function that makes one step; the loss is some function of the embeddings."""
    network.train()
    optimizer = torch.optim.SGD((p for p in network.parameters() if p.requires_grad), 1e-3, 0.9, weight_decay=5e-4)

    def step() -> None:
        with precision:
            loss = network(images).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def inference(network: nn.Module, images: Tensor, precision: Any) -> Callable[[], None]:
    def step() -> None:
        network.eval()
        with torch.no_grad(), precision:
            network(images)

    return step


def compare(title: str, steps: dict[str, Callable[[], None]], images: int, device: str, rounds: int) -> None:
    """A table of images a second: the median of so many rounds, after a first that has a column of its own."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            seconds[name].append(_seconds(step, device))
    print(f"\n{title}, {images} images\n{'':36}{'images/s':>10}{'over first':>12}{'first step, s':>15}")
    median = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    first = next(iter(median.values()))
    for name, times in seconds.items():
        print(f"{name:36}{images / median[name]:10.1f}{first / median[name]:12.2f}{times[0]:15.1f}", flush=True)


def _seconds(action: Callable[[], None], device: str) -> float:
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - started


def large(device: str, rounds: int, batch: int, compiled: bool) -> None:
    """LResNet50E-IR beside the plain one."""
    ours, plain = create("LResNet50E-IR", embedding_dim=512), PlainLResNet50()
    same_network(ours, plain)
    images = torch.randn(batch, 3, 112, 112, device=device)
    last = images.contiguous(memory_format=torch.channels_last)
    plain, ours = plain.to(device), ours.to(device)
    variants = {
        "plain": (plain, images),
        "plain, channels_last": (channels_last(plain), last),
        "ours": (ours, images),
        "ours, channels_last": (channels_last(ours), last),
    }
    if compiled:
        variants["ours, channels_last, compiled"] = (torch.compile(channels_last(ours)), last)  # type: ignore[assignment]
    for precision in ["float32", "bf16"] if device == "cuda" else ["float32"]:
        context = torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
        for title, make in (("training", training), ("inference", inference)):
            steps = {name: make(*pair, context) for name, pair in variants.items()}
            compare(f"LResNet50E-IR, {title}, {precision}", steps, batch, device, rounds)


def small(device: str, rounds: int, batch: int) -> None:
    """Training steps of small networks, beside the first of them."""
    for shape in SMALL_SHAPES:
        images = torch.randn(batch, *shape, device=device)
        steps = {}
        for name in SMALL:
            network = create(name, embedding_dim=256, image_shape=shape).to(device)
            steps[name] = training(network, images, nullcontext())
            last = images.contiguous(memory_format=torch.channels_last)
            steps[f"{name}, channels_last"] = training(channels_last(network), last, nullcontext())
        compare(f"training, {shape}, float32", steps, batch, device, rounds)


def channels_last(network: nn.Module) -> nn.Module:
    """A copy with its weights in that order."""
    return copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--compile", action="store_true", help="LResNet50E-IR with torch.compile, too; its cost is in the first step"
    )
    parser.add_argument("--only", choices=["large", "small"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    on_gpu = options.device == "cuda"
    if options.only != "small":
        large(options.device, options.rounds, 256 if on_gpu else 8, options.compile)
    if options.only != "large":
        small(options.device, options.rounds, 1024 if on_gpu else 64)


if __name__ == "__main__":
    main()
