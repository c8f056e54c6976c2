"""LDenseNet161E: DenseNet-161 ([18] of ArcFace) with ArcFace's input L and output E."""

import torch
from torch import Tensor, nn

from marginface.backbones.layers import (
    WHOLE,
    ImageShape,
    Size,
    batch_norm,
    bn_relu_conv,
    check_image_shape,
    conv,
    halved,
    initialise,
    output,
)

UNITS = (6, 12, 36, 24)
GROWTH = 48


def ldensenet161(
    *, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None, size: Size = WHOLE
) -> nn.Sequential:
    """The network; arguments as of `lresnet.lresnet`. Dropout is only that of output E."""
    check_image_shape(image_shape)
    growth = size.channels(GROWTH)
    channels = 2 * growth
    layers: list[nn.Module] = [conv(image_shape[0], channels, 3), batch_norm(channels), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    for stage, repeats in enumerate(UNITS):
        if stage > 0:
            layers += [*bn_relu_conv(conv(channels, channels // 2, 1)), nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(size.units(repeats)):
            layers.append(DenseUnit(channels, growth))
            channels += growth
    maps = channels, halved(image_shape[1], 1) // 8, halved(image_shape[2], 1) // 8
    layers.append(output("E", maps, embedding_dim, dropout))
    return nn.Sequential(*map(initialise, layers))


class DenseUnit(nn.Module):
    """From (N, channels, H, W) to (N, channels + growth, H, W): the input and what was computed from it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        narrow, wide = conv(channels, 4 * growth, 1), conv(4 * growth, growth, 3)
        self.body = nn.Sequential(*bn_relu_conv(narrow), *bn_relu_conv(wide))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)
