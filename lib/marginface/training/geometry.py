"""What a training made of the classes that it was trained on: a few numbers for a record."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from marginface.data.types import FaceData, ImageData
from marginface.evaluation.sphere import BLOCK, spreads
from marginface.heads import MarginHead
from marginface.training.learner import Learner
from marginface.training.testing import embed

CLASSES, IMAGES = 1000, 10_000  # looked at, at most: all classes of a small training, and ten images of each
SHARES = ("nearer to another class", "inside the margin", "pull left")


@torch.no_grad()
def geometry(
    learner: Learner, data: ImageData | FaceData, normalisation: str, dtype: torch.dtype, progress: bool = False
) -> dict[str, np.ndarray]:
    """How images that were trained on lie at the end, each without its mirror image; {} where there are no class
    weights, or this process does not have all of them.

    They are the same for all seeds: of up to `CLASSES` classes as many each, in even steps.

    Returns: the quantiles of `spreads` as "trained own" and so on, and "trained shares" (3,) float32, in the order of `SHARES`:
        of the images that are nearer to another class than to their own; of those that are not, but whose logit with the
        margin is below another's; and the mean of 1 - p over all, to which the pull of the loss on an image is proportional,
        with p the own class's probability, margin included. Of a loss that asks every class by itself, as SphereFace2, there
        is no such p, and the shares are (2,).
    """
    if not isinstance(learner.head, MarginHead) or len(learner.head.weight) != data.num_classes:
        return {}
    train: Any = data.train
    labels = np.asarray(train.labels if hasattr(train, "labels") else train.tensors[1])
    chosen = _chosen(labels)
    what = "looking at what was trained on, images" if progress else None
    x = embed(learner.backbone, _Part(train, chosen), normalisation, dtype, what=what)
    y = torch.from_numpy(labels[chosen])
    found: dict[str, np.ndarray] = dict(spreads(x, y, learner.head.weight.detach().cpu()))
    found["shares"] = _shares(learner.head, x, y)
    return {f"trained {name}": array for name, array in found.items()}


def _chosen(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the images that are looked at."""
    classes, starts, counts = np.unique(np.sort(labels), return_index=True, return_counts=True)
    order = np.argsort(labels, kind="stable")
    taken = _even(len(classes), CLASSES)
    most = max(IMAGES // len(taken), 1)
    return np.concatenate([order[starts[c] + _even(counts[c], most)] for c in taken])


def _even(count: int, most: int) -> NDArray[np.int64]:
    """So many of `count` places, in even steps."""
    return np.arange(min(count, most)) * count // min(count, most)


class _Part:
    """Some images of a training set, read when a slice of them is asked for."""

    def __init__(self, train: Any, chosen: NDArray[np.int64]) -> None:
        self.train, self.chosen = train, chosen.tolist()

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, part: slice, /) -> np.ndarray:
        return np.stack([np.asarray(self.train[i][0]) for i in self.chosen[part]])


@torch.no_grad()
def _shares(head: MarginHead, embeddings: Tensor, labels: Tensor) -> NDArray[np.float32]:
    pulls = head.margin.sums == "exp"
    counts, device = torch.zeros(len(SHARES) if pulls else 2, dtype=torch.float64), head.weight.device
    for part, own in zip(embeddings.split(BLOCK), labels.split(BLOCK), strict=True):
        x, y = part.to(device), own.to(device)
        nearer = head.logits(x).argmax(dim=1) != y
        logits = head.logits(x, y)
        inside = (logits.argmax(dim=1) != y) & ~nearer
        sums = [nearer.sum(), inside.sum()]
        if pulls:
            sums.append((1 - logits.softmax(dim=1).gather(1, y[:, None])).sum())
        counts += torch.stack(sums).double().cpu()
    return (counts / len(labels)).numpy().astype(np.float32)
