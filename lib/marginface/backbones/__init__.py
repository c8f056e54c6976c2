"""Networks by name: `create("LResNet50E-IR", embedding_dim=512)`.

All are written out here: torchvision has no build that imports beside a CPU-only PyTorch, and timm needs torchvision.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from marginface.backbones import lresnet
from marginface.backbones.baselines import eigenfaces, pixels
from marginface.backbones.densenet import ldensenet161
from marginface.backbones.dpn import DPN92, DPN107, ldpn
from marginface.backbones.inception_resnet import inception_resnet_v1, linception_resnet_v2
from marginface.backbones.layers import ImageShape, Size
from marginface.backbones.mobilenet import lmobilenet
from marginface.backbones.toy import iam_toy, interface_toy

FACE_112 = (3, 112, 112)  # ArcFace §3.2.1
FACE_160 = (3, 160, 160)  # PAM Table 1
DIGIT_28 = (1, 28, 28)  # MNIST
FACE_48 = (1, 48, 48)  # the toy example of InterFace, here


@dataclass(frozen=True)
class Backbone:
    """How a network is built, the images that its paper gives it, and what channels it begins with, if it can have fewer."""

    build: Callable[..., nn.Module]
    input_shape: ImageShape = FACE_112
    width: int | None = None


BACKBONES = {
    "Eigenfaces": Backbone(eigenfaces),
    "IAM-Toy": Backbone(iam_toy, DIGIT_28),
    "Inception-ResNet-v1": Backbone(inception_resnet_v1, FACE_160),
    "InterFace-Toy": Backbone(interface_toy, FACE_48),
    "LDPN107E": Backbone(partial(ldpn, DPN107), width=DPN107.stem),
    "LDPN92E": Backbone(partial(ldpn, DPN92), width=DPN92.stem),
    "LDenseNet161E": Backbone(ldensenet161, width=96),
    "LInception-ResNet-v2": Backbone(linception_resnet_v2, width=32),
    "LMobileNetE": Backbone(lmobilenet, width=32),
    "Pixels": Backbone(pixels),
}
SMALLER = re.compile(r"(.+?)(?:-w([1-9]\d*))?(?:-d([1-9]\d*))?")  # a width and a share of the depth behind a name


def names() -> list[str]:
    """The names that `create` knows.

    ArcFace's may have behind them how many channels their first convolution has: "LResNet18E-IR-w16". Those that are no
    residual networks also by what their units are divided: "LDenseNet161E-w24-d6" has a quarter of the channels and a sixth of
    the units.
    """
    return sorted([*BACKBONES, *lresnet.names()])


def input_shape(name: str) -> ImageShape:
    """(C, H, W) of the images that the network has in its paper. Raises: ValueError for an unknown name."""
    return _find(name).input_shape


def create(name: str, *, embedding_dim: int, image_shape: ImageShape | None = None, dropout: float | None = None) -> nn.Module:
    """A network from images (N, C, H, W) float in [-1, 1] to embeddings (N, embedding_dim) float.

    Weights are drawn from PyTorch's global generator. Under autocast embeddings are float32 all the same.

    Arguments:
        name: one of `names()`, also with a width and a depth behind it.
        embedding_dim: the length of an embedding.
        image_shape: (C, H, W) of the images it will see; None is `input_shape(name)`.
        dropout: before the last fully connected layer, in [0, 1), for the networks that have it; None is their paper's.
    Raises: ValueError for an unknown name, and for a shape, embedding_dim or dropout that the network cannot have.
    """
    if embedding_dim < 1:
        raise ValueError(f"embedding_dim is {embedding_dim}: must be at least 1")
    backbone = _find(name)
    shape = backbone.input_shape if image_shape is None else image_shape
    return backbone.build(embedding_dim=embedding_dim, image_shape=shape, dropout=dropout)


def size_mb(network: nn.Module) -> float:
    """What the network takes as float32, in MB of 2^20 bytes: parameters and running statistics, without a classifier.

    So counted, the networks of ArcFace Table 8 come within 1.5 % of the printed sizes; see `lresnet` for its bottlenecks.
    """
    numbers = [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())]
    return 4 * sum(tensor.numel() for tensor in numbers) / 2**20


def multiply_adds(name: str, *, embedding_dim: int, image_shape: ImageShape | None = None) -> int:
    """What an image costs in convolutions and fully connected layers: a multiplication and an addition count as one.

    Arguments and errors as of `create`.
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = create(name, embedding_dim=embedding_dim, image_shape=image_shape).eval()
        network(torch.empty(1, *(image_shape or input_shape(name))))
    return counter.get_total_flops() // 2


def _find(name: str) -> Backbone:
    match = SMALLER.fullmatch(name)
    whole, width, depth = match.groups() if match else (name, None, None)
    if found := BACKBONES.get(whole):
        if width is None and depth is None:
            return found
        if found.width is not None:
            size = Size(Fraction(int(width or found.width), found.width), int(depth or 1))
            return replace(found, build=partial(found.build, size=size))
    options = lresnet.parse(name)
    if options is None:
        nearest = get_close_matches(name, names(), n=1)
        offered = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"unknown backbone {name!r}; known: {', '.join(BACKBONES)} and {lresnet.FORM}{offered}")
    return Backbone(partial(lresnet.lresnet, options))
