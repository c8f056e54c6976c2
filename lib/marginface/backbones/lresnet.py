"""ArcFace's residual networks (§3.2): `[SE-][L]ResNet{34,50,100,101}{A..E}[-IR]`, and smaller ones of the same make.

Depths 34 and 101 are those of the original paper, 50 and 100 have the two-convolution unit (3, 4, 14, 3) and (3, 13, 30, 3)
times, as in the authors' 2018 code; the sizes of Table 8 confirm it. Depths 10, 14 (bottlenecks) and 18 are for CPUs, as is
the suffix `-w16`: 16, 32, 64 and 128 channels where the paper has 64, 128, 256 and 512. `-IR-S1` and `-IR-ReLU` leave one
part of the improved unit as it was.

ArcFace Table 8 prints 294 MB for "LResNet101(Bottle Neck)-IR". Bottlenecks of the original widths with output E have 359. The
authors' 2018 code also has a grouped bottleneck, ResNeXt's with the first convolution grouped, too; with it the network has
293. Here it is `LResNeXt101E-IR`, beside `LResNet101E-IR` as the text describes it.
"""

import re
from dataclasses import dataclass
from itertools import product

from torch import Tensor, nn

from marginface.backbones.layers import ImageShape, PReLU, batch_norm, check_image_shape, conv, halved, initialise, output

UNITS = {
    "Net10": (1, 1, 1, 1),
    "Net18": (2, 2, 2, 2),
    "Net34": (3, 4, 6, 3),
    "Net50": (3, 4, 14, 3),
    "Net100": (3, 13, 30, 3),
    "Net101": (3, 4, 23, 3),
    "NeXt101": (3, 4, 23, 3),
    "Net14": (1, 1, 1, 1),
}
FORM = f"[SE-][L]Res{{{','.join(UNITS)}}}{{A..E}}[-IR[-S1|-ReLU]][-w16]"  # of a name, for people
LEAST_WIDTH = 16  # with less, oneDNN overwrites memory in the backward pass of strided 1×1 convolutions in channels_last
GROUPS = 32  # of a grouped bottleneck
NAME = re.compile(rf"(SE-)?(L)?Res({'|'.join(UNITS)})([A-E])(-IR)?(?:(?<=-IR)-(S1|ReLU))?(?:-w([1-9]\d*))?")


@dataclass(frozen=True)
class LResNet:
    """What a name says.

    Fields:
        units: one of `UNITS`; 101 and 14 have bottlenecks, in NeXt they are grouped.
        large: L, a first convolution 3×3 with stride 1 instead of 7×7 with stride 2 and max-pooling.
        output: A to E, see `layers.output`.
        improved: IR, units of BN-Conv-BN-PReLU-Conv-BN instead of Conv-BN-ReLU-Conv-BN and ReLU after the sum.
        squeeze_excite: SE, channels weighted by what the whole image says.
        kept: what an improved unit has kept of the original one: "S1", the stride in its first convolution, "ReLU", or "".
        width: channels of the first stage, 64 in the paper; at least 16, for grouped bottlenecks a multiple of 32.
    """

    units: str
    large: bool = True
    output: str = "E"
    improved: bool = True
    squeeze_excite: bool = False
    width: int = 64
    kept: str = ""

    @property
    def bottleneck(self) -> bool:
        return self.units.endswith(("101", "14"))

    @property
    def grouped(self) -> bool:
        return self.units.startswith("NeXt")


def names() -> list[str]:
    """Every name without a width."""
    parts = product(("", "SE-"), ("", "L"), UNITS, "ABCDE", ("", "-IR"))
    return [f"{se}{large}Res{units}{output}{improved}" for se, large, units, output, improved in parts]


def parse(name: str) -> LResNet | None:
    """What the name says, or None where it is none of these networks'."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    se, large, units, output, improved, kept, width = match.groups()
    return LResNet(units, bool(large), output, bool(improved), bool(se), int(width or 64), kept or "")


def lresnet(options: LResNet, *, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None) -> nn.Sequential:
    """The network, from images (N, C, H, W) float in [-1, 1] to embeddings (N, embedding_dim) float.

    Arguments:
        embedding_dim: 512 in the paper; output A can only give its last number of channels.
        image_shape: (C, H, W), H and W at least 16; without L at least 29.
        dropout: that of output E; None is the paper's 0.4.
    Raises: ValueError for an impossible width, shape, embedding_dim or dropout.
    """
    check_image_shape(image_shape, least=16 if options.large else 29)
    if options.width < LEAST_WIDTH or (options.grouped and options.width % GROUPS):
        multiple = f" and a multiple of {GROUPS}" if options.grouped else ""
        raise ValueError(f"width is {options.width}: must be at least {LEAST_WIDTH}{multiple}")
    channels = options.width
    layers = _stem(options, image_shape[0])
    for stage, repeats in enumerate(UNITS[options.units]):
        outputs = options.width * 2**stage * (4 if options.bottleneck else 1)
        for unit in range(repeats):
            stride = 2 if unit == 0 and (stage > 0 or options.large) else 1
            layers.append(Unit(options, channels, outputs, stride))
            channels = outputs
    maps = channels, _last_side(options, image_shape[1]), _last_side(options, image_shape[2])
    layers.append(output(options.output, maps, embedding_dim, dropout))
    return nn.Sequential(*map(initialise, layers))


def _last_side(options: LResNet, side: int) -> int:
    return halved(side, 4) if options.large else halved(side, 2) // 8


def _stem(options: LResNet, inputs: int) -> list[nn.Module]:
    first = conv(inputs, options.width, 3) if options.large else conv(inputs, options.width, 7, stride=2)
    stem = [first, batch_norm(options.width), _activation(options, options.width)]
    return stem if options.large else [*stem, nn.MaxPool2d(3, stride=2, padding=1)]


def _activation(options: LResNet, channels: int) -> nn.Module:
    return PReLU(channels) if options.improved and options.kept != "ReLU" else nn.ReLU(inplace=True)


class Unit(nn.Module):
    """A residual unit (ArcFace §3.2.3, Figure 7) from (N, inputs, H, W) to (N, outputs, H / stride, W / stride).

    The second convolution has the stride, in a bottleneck, too; the original unit has it in the first, or in the 3×3 of a
    bottleneck. Without L, a stride leaves out the last row and column of odd maps, so that the last 7×7 become the 3×3 of
    ArcFace §3.2.1 (in the authors' 2018 code they become 4×4); otherwise the padding rounds up.
    """

    def __init__(self, options: LResNet, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.crops = stride > 1 and not options.large
        layers: list[nn.Module] = [batch_norm(inputs)] if options.improved else []
        convolutions = _convolutions(options, inputs, outputs, stride)
        for convolution in convolutions:
            layers += [convolution, batch_norm(convolution.out_channels), _activation(options, convolution.out_channels)]
        layers.pop()
        if options.squeeze_excite:
            layers.append(SqueezeExcite(outputs, _activation(options, max(outputs // 16, 1))))
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.extend([conv(inputs, outputs, 1, stride), batch_norm(outputs)])
        self.last = nn.Identity() if options.improved else nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.crops:
            x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
        return self.last(self.body(x) + self.shortcut(x))


def _convolutions(options: LResNet, inputs: int, outputs: int, stride: int) -> list[nn.Conv2d]:
    if options.bottleneck:
        inner, groups = (outputs // 2, GROUPS) if options.grouped else (outputs // 4, 1)
        return [conv(inputs, inner, 1, 1, groups), conv(inner, inner, 3, stride, groups), conv(inner, outputs, 1)]
    first, second = (1, stride) if options.improved and options.kept != "S1" else (stride, 1)
    return [conv(inputs, outputs, 3, first), conv(outputs, outputs, 3, second)]


class SqueezeExcite(nn.Module):
    """Channels times a weight in (0, 1) that depends on the mean of every channel ([17] of ArcFace, reduction 16)."""

    def __init__(self, channels: int, activation: nn.Module) -> None:
        super().__init__()
        inner = max(channels // 16, 1)
        squeeze, excite = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.weights = nn.Sequential(nn.AdaptiveAvgPool2d(1), squeeze, activation, excite, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)
