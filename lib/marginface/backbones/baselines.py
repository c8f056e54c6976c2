"""What was there before networks: pixels, and their principal components."""

import numpy as np
import torch
from torch import Tensor, nn

NAMES = ("Eigenfaces", "Pixels")


class Baseline(nn.Module):
    """A backbone that is fitted to the training images (N, C, H, W) at once."""

    def fit(self, images: Tensor) -> None:
        """Learn what there is to be learnt."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class Pixels(Baseline):
    """The image itself, less its mean: cosines of embeddings are then correlations of images."""

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        return x - x.mean(dim=1, keepdim=True)


class Eigenfaces(Baseline):
    """Principal components of the training images (Turk and Pentland 1991), each divided by its standard deviation.

    The division keeps the first components, which are light, from drowning the rest in a cosine. A component in which the
    images do not differ but by rounding is left out: n images have n - 1 at most.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, embedding_dim: int, values: int) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("components", torch.zeros(values, embedding_dim))

    def fit(self, images: Tensor) -> None:
        from sklearn.decomposition import PCA  # here: the names of this module are read by pages that fit nothing

        found = PCA(min(self.embedding_dim, len(images)), svd_solver="randomized", random_state=0).fit(
            images.flatten(1).numpy()
        )
        spread = found.explained_variance_**0.5
        there = spread > spread[0] * np.finfo(spread.dtype).eps * max(images[0].numel(), len(images))
        scaled = found.components_[there] / spread[there, None]
        self.mean.copy_(torch.tensor(found.mean_))
        self.components.zero_()[:, : len(scaled)] = torch.tensor(scaled.T)

    def forward(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - self.mean) @ self.components


def pixels(*, embedding_dim: int, image_shape: tuple[int, int, int], dropout: float | None = None) -> Pixels:
    """Raw pixels. `embedding_dim` must be that of the image. Raises: ValueError where it is not."""
    values = image_shape[0] * image_shape[1] * image_shape[2]
    if embedding_dim != values:
        raise ValueError(f"embedding_dim is {embedding_dim}: an image of shape {image_shape} has {values} values")
    return Pixels()


def eigenfaces(*, embedding_dim: int, image_shape: tuple[int, int, int], dropout: float | None = None) -> Eigenfaces:
    """Eigenfaces, as many as `embedding_dim`."""
    return Eigenfaces(embedding_dim, image_shape[0] * image_shape[1] * image_shape[2])
