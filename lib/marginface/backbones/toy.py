"""Small networks for the papers' toy examples."""

import math

from torch import nn

from marginface.backbones.layers import ImageShape


def iam_toy(*, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None) -> nn.Module:
    """The MNIST network of IAM Table 1: twice (conv 3x3, conv 3x3) of 32, 64 and 128 outputs, each followed by max-pool 3x3.

    The paper does not say more. Ours: padding 1, BatchNorm and ReLU after each convolution, pooling with stride 2, and one
    fully connected layer from the last maps to the embedding. The BatchNorm after it centres the embeddings: without it
    they all start on one side of the sphere, and classes that start together stay together.

    Raises: ValueError for a dropout, which it does not have.
    """
    if dropout is not None:
        raise ValueError(f"dropout is {dropout}: IAM-Toy has none")
    channels, height, width = image_shape
    layers: list[nn.Module] = []
    for outputs in (32, 64, 128):
        for inputs in (channels, outputs):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        channels, height, width = outputs, (height + 1) // 2, (width + 1) // 2
    embedding = [nn.Linear(channels * height * width, embedding_dim), nn.BatchNorm1d(embedding_dim, affine=False)]
    return nn.Sequential(*layers, nn.Flatten(), *embedding)


def interface_toy(*, embedding_dim: int, image_shape: ImageShape, dropout: float | None = None) -> nn.Module:
    """A network for InterFace Figure 2, of whose "custom network architecture" the paper says no more.

    Ours: one hidden layer of 128 units with BatchNorm and ReLU, and a fully connected layer to the embedding. The BatchNorm
    after it centres the embeddings, without which they all start on one side of the circle.

    Raises: ValueError for a dropout, which it does not have.
    """
    if dropout is not None:
        raise ValueError(f"dropout is {dropout}: InterFace-Toy has none")
    hidden = [nn.Flatten(), nn.Linear(math.prod(image_shape), 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(inplace=True)]
    return nn.Sequential(*hidden, nn.Linear(128, embedding_dim, bias=False), nn.BatchNorm1d(embedding_dim, affine=False))
