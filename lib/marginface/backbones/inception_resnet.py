"""Inception-ResNet-v1 for IAM and PAM at 160×160, and ArcFace's LInception-ResNet-v2 at 112×112.

Both are of "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning" ([40] of ArcFace, [10] of PAM),
with the numbers of their public TensorFlow code where that paper's figures differ.
"""

import torch
from torch import Tensor, nn

from marginface.backbones.layers import (
    WHOLE,
    Float32,
    ImageShape,
    Size,
    check_dropout,
    check_image_shape,
    initialise,
    output,
)

BATCH_NORM_EPS = 1e-3  # of FaceNet's public code, TensorFlow's own and MXNet's own; neither IAM, PAM nor ArcFace prints one
# of Inception-ResNet-v1: FaceNet's public code has a decay of 0.995 (inception_resnet_v1.py), which is one minus PyTorch's
# momentum. MXNet's own decay, of ArcFace's network, is PyTorch's own, too.
BATCH_NORM_MOMENTUM = 1 - 0.995
KEEP_PROBABILITY = 0.4  # PAM Table 1

Step = tuple[int, int | tuple[int, int], int]  # outputs, kernel, stride of a convolution
Chains = list[list[Step]]


def inception_resnet_v1(*, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None) -> nn.Sequential:
    """The network of IAM §5.2 and PAM §4.1, from images (N, C, H, W) float to embeddings (N, embedding_dim) float.

    After global pooling and dropout, one fully connected layer and BatchNorm give the embedding, as in FaceNet's public code.

    Arguments:
        embedding_dim: 512 in PAM Table 1; IAM does not say.
        image_shape: (C, H, W), H and W at least 75; 160 in PAM Table 1.
        dropout: None is PAM's 0.6 ("keep probability 0.4").
    Raises: ValueError for smaller images and a dropout outside [0, 1).
    """
    check_image_shape(image_shape, least=75)
    channels = 1792
    pooled = nn.AdaptiveAvgPool2d(1), nn.Dropout(check_dropout(dropout, 1 - KEEP_PROBABILITY)), nn.Flatten()
    layers: list[nn.Module] = [
        *_stem(image_shape[0], stride=2, pool=True),
        _conv(192, 256, 3, 2),
        *[Residual(256, 0.17, *_grid_35(32, 32)) for _ in range(5)],
        Branches(256, [(384, 3, 2)], [(192, 1, 1), (192, 3, 1), (256, 3, 2)], pool=True),
        *[Residual(896, 0.10, *_grid_17(128, 128, 128, 128)) for _ in range(10)],
        Branches(896, *_reduction_b(256, 256, 256), pool=True),
        *[Residual(channels, 0.20, *_grid_8(192, 192, 192)) for _ in range(5)],
        Residual(channels, 1.0, *_grid_8(192, 192, 192), last=True),
        Float32(*pooled, nn.Linear(channels, embedding_dim, bias=False), nn.BatchNorm1d(embedding_dim, BATCH_NORM_EPS)),
    ]
    network = nn.Sequential(*map(initialise, layers))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = BATCH_NORM_MOMENTUM
    return network


def linception_resnet_v2(
    *, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None, size: Size = WHOLE
) -> nn.Sequential:
    """Inception-ResNet-v2 with ArcFace's input L and output E; arguments as of `lresnet.lresnet`, H and W at least 21.

    The last maps of 112×112 are 12×12 and not ArcFace's 7×7 (§3.2.1), because the first max-pooling is left out as in the
    authors' 2018 code, which computes and does not use it. ArcFace Table 8 prints 642 MB, so they measured that network: with
    the pooling the maps would be 5×5 and the fully connected layer a sixth of its size.
    """
    check_image_shape(image_shape, least=21)
    first, second, third, last = map(size.channels, (320, 1088, 2080, 1536))
    maps = last, _last_side(image_shape[1]), _last_side(image_shape[2])
    mixed: Chains = [[(96, 1, 1)], [(48, 1, 1), (64, 5, 1)], [(64, 1, 1), (96, 3, 1), (96, 3, 1)]]
    reduced: Chains = [[(384, 3, 2)], [(256, 1, 1), (256, 3, 1), (384, 3, 2)]]
    grid_35, grid_17, grid_8 = _grid_35(48, 64), _grid_17(192, 128, 160, 192), _grid_8(192, 224, 256)
    layers: list[nn.Module] = [
        *_stem(image_shape[0], stride=1, pool=False, size=size),
        nn.MaxPool2d(3, 2),
        Branches(size.channels(192), *_sized(mixed, size), average=size.channels(64)),
        *[Residual(first, 0.17, *_sized(grid_35, size)) for _ in range(size.units(10))],
        Branches(first, *_sized(reduced, size), pool=True),
        *[Residual(second, 0.10, *_sized(grid_17, size)) for _ in range(size.units(20))],
        Branches(second, *_sized(_reduction_b(288, 288, 320), size), pool=True),
        *[Residual(third, 0.20, *_sized(grid_8, size)) for _ in range(size.units(9))],
        Residual(third, 1.0, *_sized(grid_8, size), last=True),
        _conv(third, last, 1),
        output("E", maps, embedding_dim, dropout),
    ]
    return nn.Sequential(*map(initialise, layers))


def _stem(inputs: int, *, stride: int, pool: bool, size: Size = WHOLE) -> list[nn.Module]:
    """The convolutions up to 192 channels, all without padding but the third."""
    a, b, c, d = map(size.channels, (32, 64, 80, 192))
    first = [_conv(inputs, a, 3, stride, padding=0), _conv(a, a, 3, padding=0), _conv(a, b, 3)]
    middle: list[nn.Module] = [nn.MaxPool2d(3, 2)] if pool else []
    return [*first, *middle, _conv(b, c, 1), _conv(c, d, 3, padding=0)]


def _sized(chains: Chains, size: Size) -> Chains:
    """The chains with so much of their channels."""
    return [[(size.channels(outputs), kernel, stride) for outputs, kernel, stride in chain] for chain in chains]


def _last_side(side: int) -> int:
    """What `linception_resnet_v2` leaves of a side: three unpadded 3×3 convolutions, three times 3×3 with stride 2."""
    side -= 6
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


def _grid_35(middle: int, last: int) -> Chains:
    return [[(32, 1, 1)], [(32, 1, 1), (32, 3, 1)], [(32, 1, 1), (middle, 3, 1), (last, 3, 1)]]


def _grid_17(alone: int, first: int, wide: int, high: int) -> Chains:
    return [[(alone, 1, 1)], [(first, 1, 1), (wide, (1, 7), 1), (high, (7, 1), 1)]]


def _grid_8(first: int, wide: int, high: int) -> Chains:
    return [[(192, 1, 1)], [(first, 1, 1), (wide, (1, 3), 1), (high, (3, 1), 1)]]


def _reduction_b(second: int, third: int, last: int) -> Chains:
    return [[(256, 1, 1), (384, 3, 2)], [(256, 1, 1), (second, 3, 2)], [(256, 1, 1), (third, 3, 1), (last, 3, 2)]]


def _conv(
    inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | None = None
) -> nn.Sequential:
    """Convolution, BatchNorm and ReLU; padded where the stride is 1, unless told otherwise."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    same = (height // 2, width // 2) if stride == 1 and padding is None else padding or 0
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, same, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, BATCH_NORM_EPS), nn.ReLU(inplace=True))


class Branches(nn.Module):
    """Chains of convolutions side by side on (N, inputs, H, W), their outputs behind one another in channels.

    `pool` adds the max-pooled input with stride 2, `average` so many channels of the average-pooled one.
    """

    def __init__(self, inputs: int, *chains: list[Step], pool: bool = False, average: int = 0) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        for chain in chains:
            widths = [inputs, *(outputs for outputs, _, _ in chain)]
            self.branches.append(nn.Sequential(*[_conv(width, *step) for width, step in zip(widths, chain, strict=False)]))
        if pool:
            self.branches.append(nn.MaxPool2d(3, 2))
        if average:
            averaged = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
            self.branches.append(nn.Sequential(averaged, _conv(inputs, average, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Residual(nn.Module):
    """x + scale · (what branches say of x, brought to its channels), then ReLU unless it is the `last`. Shapes stay."""

    def __init__(self, channels: int, scale: float, *chains: list[Step], last: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.branches = Branches(channels, *chains)
        self.project = nn.Conv2d(sum(chain[-1][0] for chain in chains), channels, 1)
        self.last = nn.Identity() if last else nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.scale * self.project(self.branches(x)))
