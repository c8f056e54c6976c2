"""LMobileNetE: MobileNet ([16] of ArcFace) with ArcFace's input L and output E."""

from torch import nn

from marginface.backbones.layers import (
    WHOLE,
    ImageShape,
    PReLU,
    Size,
    batch_norm,
    check_image_shape,
    conv,
    halved,
    initialise,
    output,
)

# channels and stride of each pair of a depthwise and a pointwise convolution, MobileNet's Table 1
PAIRS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def lmobilenet(
    *, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None, size: Size = WHOLE
) -> nn.Sequential:
    """The network; arguments as of `lresnet.lresnet`. With PReLU for ReLU, as in the authors' 2018 code."""
    check_image_shape(image_shape)
    channels = size.channels(32)
    layers = _block(conv(image_shape[0], channels, 3))
    for number, stride in PAIRS:
        outputs = size.channels(number)
        layers += _block(conv(channels, channels, 3, stride, groups=channels)) + _block(conv(channels, outputs, 1))
        channels = outputs
    maps = channels, halved(image_shape[1], 4), halved(image_shape[2], 4)
    layers.append(output("E", maps, embedding_dim, dropout))
    return nn.Sequential(*map(initialise, layers))


def _block(convolution: nn.Conv2d) -> list[nn.Module]:
    channels = convolution.out_channels
    return [convolution, batch_norm(channels), PReLU(channels)]
