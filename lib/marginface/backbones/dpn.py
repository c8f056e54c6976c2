"""LDPN92E and LDPN107E: dual path networks ([9] of ArcFace) with ArcFace's input L and output E."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class DPN:
    """Table 1 of the dual path paper: one number, or one number a stage."""

    stem: int
    inner: int  # channels of the grouped convolution of the first stage; they double with every stage
    groups: int
    units: tuple[int, int, int, int]
    growth: tuple[int, int, int, int]  # what a unit adds to the dense path


DPN92 = DPN(stem=64, inner=96, groups=32, units=(3, 4, 20, 3), growth=(16, 32, 24, 128))
DPN107 = DPN(stem=128, inner=200, groups=50, units=(4, 8, 20, 3), growth=(20, 64, 64, 128))


def ldpn(
    options: DPN, *, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None, size: Size = WHOLE
) -> nn.Sequential:
    """The network; arguments as of `lresnet.lresnet`."""
    check_image_shape(image_shape)
    channels, groups = size.channels(options.stem), size.channels(options.groups)
    layers: list[nn.Module] = [conv(image_shape[0], channels, 3), batch_norm(channels), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    for stage, (repeats, lengthened) in enumerate(zip(options.units, options.growth, strict=True)):
        inner, residual, growth = map(size.channels, (options.inner * 2**stage, 256 * 2**stage, lengthened))
        for unit in range(size.units(repeats)):
            stride = 2 if unit == 0 and stage > 0 else 1
            layers.append(DualPathUnit(channels, inner, residual, growth, groups, stride, project=unit == 0))
            channels = residual + 3 * growth if unit == 0 else channels + growth
    maps = channels, halved(image_shape[1], 4), halved(image_shape[2], 4)
    layers.append(output("E", maps, embedding_dim, dropout))
    return nn.Sequential(*map(initialise, layers))


class DualPathUnit(nn.Module):
    """The first `residual` channels are a residual path, the others a dense path that every unit lengthens by `growth`.

    The first unit of a stage projects its input: to `residual` and 2 · growth channels.
    """

    def __init__(self, inputs: int, inner: int, residual: int, growth: int, groups: int, stride: int, *, project: bool) -> None:
        super().__init__()
        self.residual = residual
        self.body = nn.Sequential(
            *bn_relu_conv(conv(inputs, inner, 1)),
            *bn_relu_conv(conv(inner, inner, 3, stride, groups)),
            *bn_relu_conv(conv(inner, residual + growth, 1)),
        )
        self.shortcut = nn.Sequential()
        if project:
            self.shortcut.extend(bn_relu_conv(conv(inputs, residual + 2 * growth, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        new, old = self.body(x), self.shortcut(x)
        total = old[:, : self.residual] + new[:, : self.residual]
        return torch.cat([total, old[:, self.residual :], new[:, self.residual :]], dim=1)
