"""The one heavy operation of every loss here: what a sample scores on all the classes that are not its own."""

import torch
from torch import Tensor

from marginface.margins import Margin


def others_logsumexp(embeddings: Tensor, weight: Tensor, labels: Tensor, margin: Margin, bias: Tensor | None = None) -> Tensor:
    """L = log Σ_{j≠y} exp(s · U(x·w_j) + b_j).

    Arguments:
        embeddings: (N, d) float, already of unit length where the margin wants cosines.
        weight: (C, d) float, likewise.
        labels: (N,) int64, the class that each sample leaves out.
        margin: gives the scale s and U.
        bias: (C,) float, added to the logits.
    Returns: (N,) of the embeddings' dtype.
    """
    logits = (margin.scale or 1.0) * margin.others(embeddings @ weight.T)
    if bias is not None:
        logits = logits + bias
    own = torch.nn.functional.one_hot(labels, len(weight)).bool()
    return logits.masked_fill(own, -torch.inf).logsumexp(dim=1)
