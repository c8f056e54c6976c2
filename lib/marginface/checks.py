"""What a batch of embeddings and labels must be, and errors that say what it is instead."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor


class NonFiniteError(ValueError):
    """Embeddings hold NaN or infinity."""


def check_embeddings(embeddings: Tensor, embedding_dim: int | None = None, values: bool | None = None) -> None:
    """Raise an error unless they are a floating-point tensor (N, d), N at least 1, and finite (see `looks`)."""
    _check_tensor("embeddings", embeddings)
    d = "d" if embedding_dim is None else embedding_dim
    if embeddings.dim() != 2 or embeddings.shape[0] == 0 or d not in ("d", embeddings.shape[1]):
        raise ValueError(f"embeddings must have shape (N, {d}) with N at least 1, not {tuple(embeddings.shape)}")
    if not embeddings.is_floating_point():
        raise ValueError(f"embeddings must be floating point, not {embeddings.dtype}")
    if looks(embeddings, values) and not _finite(embeddings):
        raise NonFiniteError("embeddings hold NaN or infinity")


def check_labels(labels: Tensor, embeddings: Tensor, num_classes: int | None = None, values: bool | None = None) -> None:
    """Raise an error unless they are an int64 tensor (N,) on the embeddings' device, and in [0, num_classes)."""
    _check_tensor("labels", labels)
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(f"labels must have shape ({len(embeddings)},), not {tuple(labels.shape)}")
    if labels.dtype != torch.int64:
        whole = not labels.is_floating_point() and not labels.is_complex() and labels.dtype != torch.bool
        raise ValueError(f"labels must be int64, not {labels.dtype}{': labels.long()' if whole else ''}")
    if labels.device != embeddings.device:
        raise ValueError(f"labels are on {labels.device}, embeddings on {embeddings.device}")
    if num_classes is not None and looks(labels, values):
        low, high = (value_of(end) for end in labels.aminmax())
        if low is not None and (low < 0 or high >= num_classes):
            ignored = "; none is ignored: leave out samples without a class" if low < 0 else ""
            raise ValueError(f"labels must lie in [0, {num_classes}), not in [{low}, {high}]{ignored}")


def check_weights(weights: Tensor, embeddings: Tensor, values: bool | None = None) -> None:
    """Raise an error unless they are a floating-point tensor (N,) on the embeddings' device, and finite, at least 0."""
    _check_tensor("weights", weights)
    if weights.shape != embeddings.shape[:1] or not weights.is_floating_point():
        raise ValueError(f"weights must be floating point ({len(embeddings)},), not {weights.dtype} {tuple(weights.shape)}")
    if weights.device != embeddings.device:
        raise ValueError(f"weights are on {weights.device}, embeddings on {embeddings.device}")
    if looks(weights, values) and value_of(((weights >= 0) & (weights < torch.inf)).all()) is False:
        raise ValueError("weights must be finite and at least 0")


def looks(tensor: Tensor, values: bool | None = None) -> bool:
    """Whether to look at values: as `values` says, and by default where nobody waits for them, on a CPU. Never compiled."""
    if torch.compiler.is_compiling():
        return False
    return tensor.device.type == "cpu" if values is None else values


def value_of(tensor: Tensor) -> Any:
    """The number in a tensor (), or None where there is none to look at: in vmap, on the meta device."""
    try:
        return tensor.item()
    except RuntimeError:
        return None


def _finite(tensor: Tensor) -> bool:
    total = value_of(tensor.detach().sum())  # many times faster than a look at each, and finite only if they all are
    return total is None or math.isfinite(total) or bool(torch.isfinite(tensor).all())


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        ways = {np.ndarray: f": torch.from_numpy({name})", list: f": torch.tensor({name})", tuple: f": torch.tensor({name})"}
        raise TypeError(f"{name} must be a torch.Tensor, not {type(value).__name__}{ways.get(type(value), '')}")
