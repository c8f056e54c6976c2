"""How classes lie on the sphere."""

import torch
import torch.nn.functional as F
from torch import Tensor


def class_angles(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """Spread within and distance between classes, from directions alone.

    Arguments: embeddings (N, d) float, labels (N,) int64; every class in 0…max needs a sample.
    Returns: in degrees, `intra_angle`, the mean angle between a sample and the mean direction of its class;
        `inter_angle`, the mean over classes of the angle to the nearest other class; `min_inter_angle`, the smallest.
    """
    directions = F.normalize(embeddings.double())
    classes = int(labels.max()) + 1
    centres = F.normalize(torch.stack([directions[labels == c].mean(dim=0) for c in range(classes)]))
    intra = (directions * centres[labels]).sum(dim=1).clamp(-1, 1).acos()
    between = (centres @ centres.T).fill_diagonal_(-1).clamp(-1, 1).acos()
    nearest = between.min(dim=1).values
    return {
        "intra_angle": float(intra.mean().rad2deg()),
        "inter_angle": float(nearest.mean().rad2deg()),
        "min_inter_angle": float(nearest.min().rad2deg()),
    }
