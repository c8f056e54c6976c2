"""ArcFace Figure 7: the improved residual unit, as it is built here."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch
from torch import nn

from marginface.backbones import create, lresnet
from marginface.backbones.lresnet import LResNet, SqueezeExcite, Unit
from marginface.book.items import Item
from marginface.book.verdicts import Claim

PRINTED = "BN-Conv-BN-PReLU-Conv-BN"
SHORT = {"BatchNorm2d": "BN", "Conv2d": "Conv", "PReLU": "PReLU", "ReLU": "ReLU", "SqueezeExcite": "SE", "Identity": ""}
SMALL = ("LResNet10E-IR-w16", "ResNet10E-IR-w16")  # of the same make, with and without L
INPUTS, OUTPUTS, SIDE = 64, 128, 56  # the first unit of the second stage of the paper's network, on its maps


@dataclass(frozen=True)
class Step:
    """A layer that a unit goes through: on which path, "body", "shortcut" or "last", what it is, and what it makes of maps."""

    path: str
    kind: str
    detail: str
    shape: tuple[int, ...]  # channels, height, width
    parameters: int
    stride: int


def steps(unit: Unit, inputs: int = INPUTS, side: int = SIDE) -> list[Step]:
    """What an image goes through, noted by the layers themselves in the order in which they compute; the sum is no layer."""
    found: list[Step] = []
    hooks = []
    for name, module in unit.eval().named_modules():
        inside = any(name.startswith(f"{outer}.") for outer, part in unit.named_modules() if isinstance(part, SqueezeExcite))
        if not isinstance(module, Unit | nn.Sequential) and not inside:
            note = partial(_note, found, name)
            hooks.append(module.register_forward_hook(note))
    with torch.no_grad():
        unit(torch.zeros(1, inputs, side, side))
    for hook in hooks:
        hook.remove()
    return [step for step in found if step.kind]


def _note(found: list[Step], name: str, module: nn.Module, given: Any, made: torch.Tensor) -> None:
    found.append(_step(name, module, made))


def _step(target: str, module: nn.Module, made: torch.Tensor) -> Step:
    kind = SHORT[type(module).__name__]
    count = sum(p.numel() for p in module.parameters())
    stride = module.stride[0] if isinstance(module, nn.Conv2d) else 1
    detail = ""
    if isinstance(module, nn.Conv2d):
        detail = f"{module.kernel_size[0]}×{module.kernel_size[1]}, {module.out_channels} channels, stride {stride}"
    return Step(target.split(".")[0], kind, detail, tuple(made.shape[1:]), count, int(stride))


def unit_of(network: str, stride: int = 2) -> Unit:
    """A unit of a network, by the network's name, from 64 to 128 channels. Raises: ValueError for other networks' names."""
    options = lresnet.parse(network)
    if options is None or options.bottleneck:
        raise ValueError(f"{network!r} has no unit of two convolutions; one that has is LResNet50E-IR")
    return Unit(options, INPUTS, OUTPUTS, stride)


def order(unit: Unit) -> str:
    """The layers of a unit's body, as the paper writes them."""
    return "-".join(step.kind for step in steps(unit) if step.path == "body")


def table(unit: Unit) -> pd.DataFrame:
    """Layer by layer: the path, the layer, the maps behind it and its parameters."""
    lines = [
        (step.path, f"{step.kind} {step.detail}".strip(), " × ".join(map(str, step.shape)), f"{step.parameters:,}")
        for step in steps(unit)
    ]
    return pd.DataFrame(lines, columns=["path", "layer", "channels × height × width", "parameters"])


def last_maps(network: str) -> tuple[int, ...]:
    """Channels, height and width of the last maps of a network for 112×112 images."""
    built = create(network, embedding_dim=8, image_shape=(1, 112, 112)).eval()
    assert isinstance(built, nn.Sequential)
    with torch.no_grad():
        return tuple(built[:-1](torch.zeros(1, 1, 112, 112)).shape[1:])


def figure7_claims(chosen: SimpleNamespace) -> list[Claim]:
    """What the caption and §3.2 say of the unit and of the maps."""
    unit, other = unit_of(chosen.network), Unit(LResNet("Net50", improved=False), INPUTS, OUTPUTS, 2)
    body = [step for step in steps(unit) if step.path == "body"]
    convolutions = [step.stride for step in body if step.kind == "Conv"]
    before = [step.stride for step in steps(other) if step.path == "body" and step.kind == "Conv"]
    kinds = {step.kind for step in steps(unit)}
    maps = {network: last_maps(network) for network in SMALL}
    sides = {network: f"{shape[1]}×{shape[2]}" for network, shape in maps.items()}
    return [
        Claim(
            f"the unit is {PRINTED}",
            "Figure 7",
            order(unit) == PRINTED,
            f"its body is {order(unit)}; the original {order(other)}",
        ),
        Claim(
            "“we set stride = 2 for the second convolutional layer instead of the first one”",
            "§3.2.3",
            convolutions == [1, 2] and before == [2, 1],
            f"strides {convolutions[0]} and {convolutions[-1]}; in the original unit {before[0]} and {before[-1]}",
        ),
        Claim(
            "“PReLU is used to substitute the original ReLU”",
            "§3.2.3",
            "PReLU" in kinds and "ReLU" not in kinds,
            f"activations: {', '.join(sorted(kinds & {'PReLU', 'ReLU'}))}",
        ),
        Claim(
            "with 3×3 and stride 1 first “the network output is 7×7”, with 7×7 and stride 2 “only 3×3”",
            "§3.2.1, §3.2.5",
            list(sides.values()) == ["7×7", "3×3"],
            "; ".join(f"{network}: {side}" for network, side in sides.items()),
        ),
    ]


FIGURE7 = Item(
    "ArcFace",
    "Figure 7",
    notebook="arcface/figure7",
    parameters={"network": "LResNet50E-IR"},
    statements=figure7_claims,
)
