"""How the classes that were trained on lie on the sphere: angles, distances and lengths, as quantiles."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BLOCK = 512  # rows that are compared with all classes at a time


def spreads(embeddings: Tensor, labels: Tensor, class_weights: Tensor) -> dict[str, NDArray[np.float32]]:
    """Of each quantity its `QUANTILES`, (7,) float32: angles in degrees, and lengths.

    Arguments: embeddings (N, d) float, labels (N,) int64, class_weights (C, d) float, or (C, K, d) with K a class.
    Returns:
        own: between a sample and the weight of its class;
        nearest: between a sample and the nearest other class's weight;
        gap: that less the own one, negative for a sample that is nearer to another class;
        within: between a sample and the mean direction of its class;
        centres: between the mean direction of a class and the nearest other one, of the classes that have samples;
        weights: between the weight of such a class and the nearest other weight, of all classes;
        norms: lengths of the embeddings.
    """
    x, W = F.normalize(embeddings.double()), F.normalize(class_weights.double(), dim=-1)
    classes, of = labels.unique(return_inverse=True)
    sums = x.new_zeros(len(classes), x.shape[1]).index_add_(0, of, x)
    centres = F.normalize(sums)
    own, nearest = _own_and_nearest(x, W, labels)
    quantities = {
        "own": own,
        "nearest": nearest,
        "gap": nearest - own,
        "within": _degrees((x * centres[of]).sum(dim=1)),
        "centres": _own_and_nearest(centres, centres, torch.arange(len(centres), device=x.device))[1],
        "weights": _own_and_nearest(W[classes].flatten(0, -2), W, classes.repeat_interleave(W[0, ..., 0].numel()))[1],
        "norms": embeddings.double().norm(dim=1),
    }
    return {name: np.quantile(values.cpu().numpy(), QUANTILES).astype(np.float32) for name, values in quantities.items()}


def _own_and_nearest(x: Tensor, W: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Angles in degrees (N,) between unit vectors (N, d) and (C, d) or (C, K, d): to the own class, to the nearest other."""
    own, other = [], []
    for part, y in zip(x.split(BLOCK), labels.split(BLOCK), strict=True):
        cosines = part @ W.flatten(0, -2).T
        cosines = cosines if W.dim() == 2 else cosines.unflatten(1, W.shape[:2]).amax(dim=2)
        own.append(cosines.gather(1, y[:, None])[:, 0])
        other.append(cosines.scatter(1, y[:, None], -1.0).amax(dim=1))
    return _degrees(torch.cat(own)), _degrees(torch.cat(other))


def _degrees(cosines: Tensor) -> Tensor:
    return cosines.clamp(-1, 1).acos().rad2deg()
