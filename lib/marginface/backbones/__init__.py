"""Networks by name: `create("IAM-Toy", embedding_dim=3)`."""

from collections.abc import Callable

from torch import nn

from marginface.backbones.toy import iam_toy

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "IAM-Toy": iam_toy,
}


def names() -> list[str]:
    """The names that `create` knows."""
    return sorted(BACKBONES)


def create(name: str, *, embedding_dim: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """A network from images (N, C, H, W) float in [-1, 1] to embeddings (N, embedding_dim) float.

    Arguments:
        name: one of `names()`.
        embedding_dim: the length of an embedding.
        image_shape: (C, H, W) of the images it will see.
    Raises: ValueError for an unknown name.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; known: {', '.join(names())}")
    return BACKBONES[name](embedding_dim=embedding_dim, image_shape=image_shape)
