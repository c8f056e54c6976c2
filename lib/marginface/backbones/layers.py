"""What the networks share: convolutions, ArcFace's outputs A to E, the first weights, checks of the image shape."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

ImageShape = tuple[int, int, int]  # channels, height, width

BATCH_NORM_EPS = 2e-5  # of ArcFace's 2018 code; the paper prints none
DROPOUT = 0.4  # ArcFace §3.2.5


@dataclass(frozen=True)
class Size:
    """How much of a network is built: every number of channels times `width`, and a `depth`-th of the units of a stage."""

    width: Fraction = Fraction(1)
    depth: int = 1

    def channels(self, number: int) -> int:
        """Raises: ValueError where that is no whole number."""
        found = number * self.width
        if found.denominator != 1:
            raise ValueError(f"{self.width} of the width: {number} channels would be {float(found):.2f}, not a whole number")
        return int(found)

    def units(self, number: int) -> int:
        return max(1, round(number / self.depth))


WHOLE = Size()


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias, padded so that stride 1 keeps height and width."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS)


def bn_relu_conv(convolution: nn.Conv2d) -> list[nn.Module]:
    """A convolution and what comes before it."""
    return [batch_norm(convolution.in_channels), nn.ReLU(inplace=True), convolution]


class PReLU(nn.PReLU):
    """PyTorch's PReLU with one slope a channel, on (N, channels, H, W). On CPUs its backward pass takes half the time."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return _PReLU.apply(x, self.weight)
        return super().forward(x)


class _PReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return nn.functional.prelu(x, slope)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, x, 0)
        below = gradient - above
        of_slope = (below * x).sum((0, 2, 3))
        return above.addcmul_(below, slope.view(-1, 1, 1)), of_slope


class Float32(nn.Module):
    """Layers that compute in their weights' own precision where autocast would have lowered it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        device = x.device.type
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return self.layers(x)
        with torch.autocast(device, enabled=False):
            return self.layers(x.to(torch.promote_types(x.dtype, torch.float32)))


def output(option: str, maps: ImageShape, embedding_dim: int, dropout: float | None = None) -> nn.Module:
    """From the last maps (N, C, H, W) to embeddings (N, embedding_dim), as ArcFace §3.2.2 numbers the ways.

    A: global pooling. B: pooling, fully connected. C: that and BatchNorm. D: that and PReLU. E: BatchNorm, dropout, fully
    connected, BatchNorm, without pooling. The scale of the last BatchNorm stays 1, as in the authors' 2018 code.

    Arguments:
        option: "A" to "E".
        maps: (C, H, W) of the last maps.
        dropout: the share that E drops in training; None is the paper's 0.4.
    Raises: ValueError for a dropout outside [0, 1) or where the option has none, and where A cannot give `embedding_dim`.
    """
    channels, height, width = maps
    if dropout is not None and option != "E":
        raise ValueError(f"dropout is {dropout}: of ArcFace's outputs only E has a dropout, and this is {option}")
    if option == "A" and embedding_dim != channels:
        raise ValueError(f"embedding_dim is {embedding_dim}: output A has no fully connected layer and gives {channels}")
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    connected = nn.Linear(channels, embedding_dim)
    match option:
        case "A":
            return Float32(*pooled)
        case "B":
            return Float32(*pooled, connected)
        case "C":
            return Float32(*pooled, connected, _last_norm(embedding_dim))
        case "D":
            return Float32(*pooled, connected, _last_norm(embedding_dim), nn.PReLU(embedding_dim))
        case _:
            wide = nn.Linear(channels * height * width, embedding_dim)
            drop = nn.Dropout(check_dropout(dropout, DROPOUT))
            return Float32(batch_norm(channels), drop, nn.Flatten(), wide, _last_norm(embedding_dim))


def _last_norm(embedding_dim: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(embedding_dim, eps=BATCH_NORM_EPS)
    norm.weight.requires_grad_(False)
    return norm


def initialise(network: nn.Module) -> nn.Module:
    """First weights: normal with variance 2 / fan-out, biases 0, in place.

    That is He et al.'s, and what ArcFace's 2018 code has for its ResNets (Xavier, gaussian, "out", magnitude 2). The fan-out of
    a grouped convolution is that of one group. BatchNorm starts with scale 1 and shift 0 and PReLU with slope 0.25, both
    PyTorch's own.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
            fan_out = layer.weight[:, 0].numel() // groups
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def check_image_shape(image_shape: ImageShape, *, least: int = 16) -> None:
    """Raises: ValueError unless the shape is (channels, height, width) with sides of at least so many pixels."""
    if len(image_shape) != 3 or image_shape[0] < 1 or min(image_shape[1:]) < least:
        raise ValueError(f"image_shape is {image_shape}: must be (channels, height, width) with sides of at least {least}")


def halved(side: int, times: int) -> int:
    """What padded layers of stride 2 leave of a side: every one rounds up."""
    return -(-side // 2**times)


def check_dropout(dropout: float | None, default: float) -> float:
    """`dropout`, or `default` where it is None. Raises: ValueError outside [0, 1)."""
    if dropout is not None and not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}: must be in [0, 1)")
    return default if dropout is None else dropout
