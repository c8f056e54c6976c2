"""MarginHead: owns the class weights and turns embeddings and labels into a loss."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.margins import Margin
from marginface.reduction import others_logsumexp
from marginface.regularizers import Stateful, Terms


class MarginHead(nn.Module):
    """The last layer and its loss: a margin over the class weights, plus regularizers.

    With z_y the target logit and L the log-sum-exp of all others, the loss of a sample is
    logaddexp(L, z_y) - z_y = -log σ(z_y - L). All of it is float32, or float64 where the embeddings are: under autocast,
    too, because a cosine in half precision cannot tell an angle of 0.02 from 0.

    Arguments:
        embedding_dim: d.
        num_classes: C, at least 2.
        margin: a loss of `marginface.margins`.
        regularizers: functions of `Terms` that give a scalar to add, such as `IAM(beta=0.2)`. One that is `Stateful`
            becomes a part of this module.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        margin: Margin,
        regularizers: Sequence[Callable[[Terms], Tensor]] = (),
    ) -> None:
        super().__init__()
        if embedding_dim < 1:
            raise ValueError(f"embedding_dim={embedding_dim} must be at least 1")
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes} must be at least 2")
        self.margin = margin
        self.regularizers = tuple(regularizers)
        self.stateful = nn.ModuleList(r for r in regularizers if isinstance(r, Stateful))
        for module in self.stateful:
            module.bind(embedding_dim, num_classes)  # type: ignore[operator]
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(num_classes)) if margin.bias else None
        nn.init.normal_(self.weight, std=1 / math.sqrt(embedding_dim))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch.

        Arguments:
            embeddings: (N, d) floating point, finite, N at least 1.
            labels: (N,) int64 in [0, C), on the same device.
        Returns: () float32, or float64 for float64 embeddings.
        Raises: ValueError naming what is wrong with either.
        """
        self._check(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            terms = self._terms(embeddings, labels)
            loss = -F.logsigmoid(terms.target - terms.others).mean()
            return sum((regularizer(terms) for regularizer in self.regularizers), start=loss)

    def logits(self, embeddings: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C) scaled logits: with the margin where labels are given, plain where not. For figures and predictions."""
        self._check(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            x, w = self._scaled(embeddings)
            plain = (self.margin.scale or 1.0) * (x @ w.T)
            if labels is None:
                return plain if self.bias is None else plain + self.bias
            logits = (self.margin.scale or 1.0) * self.margin.others(x @ w.T)
            if self.bias is not None:
                logits = logits + self.bias
            return logits.scatter(1, labels[:, None], self._terms(embeddings, labels).target[:, None])

    def _terms(self, embeddings: Tensor, labels: Tensor) -> Terms:
        x, w = self._scaled(embeddings)
        cosine = (F.normalize(x) * F.normalize(w[labels])).sum(dim=1).clamp(-1, 1)
        factor = self.margin.scale or 1.0
        if self.margin.keeps_embedding_norm:
            factor = factor * x.norm(dim=1)
        if self.margin.keeps_weight_norm:
            factor = factor * w[labels].norm(dim=1)
        offset = 0.0 if self.bias is None else self.bias[labels]
        return Terms(
            target=factor * self.margin.target(cosine) + offset,
            plain_target=factor * cosine + offset,
            others=others_logsumexp(x, w, labels, self.margin, self.bias),
            num_classes=len(w),
            embeddings=embeddings.to(x.dtype),
            labels=labels,
            cosine=cosine,
            class_weights=self.weight.to(x.dtype),
        )

    def _scaled(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings and class weights in full precision, each with its norm or without it, as the margin wants."""
        x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        x = x if self.margin.keeps_embedding_norm else F.normalize(x)
        w = self.weight.to(x.dtype)
        return x, w if self.margin.keeps_weight_norm else F.normalize(w)

    def _check(self, embeddings: Tensor, labels: Tensor | None) -> None:
        d, C = self.weight.shape[1], self.weight.shape[0]
        if embeddings.dim() != 2 or embeddings.shape[1] != d or len(embeddings) == 0:
            raise ValueError(f"embeddings must have shape (N, {d}) with N at least 1, not {tuple(embeddings.shape)}")
        if not embeddings.is_floating_point():
            raise ValueError(f"embeddings must be floating point, not {embeddings.dtype}")
        if embeddings.device != self.weight.device:
            raise ValueError(f"embeddings are on {embeddings.device}, the class weights on {self.weight.device}")
        if not torch.isfinite(embeddings).all():
            raise ValueError("embeddings hold NaN or infinity")
        if labels is None:
            return
        if labels.shape != embeddings.shape[:1]:
            raise ValueError(f"labels must have shape ({len(embeddings)},), not {tuple(labels.shape)}")
        if labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64, not {labels.dtype}")
        if labels.device != embeddings.device:
            raise ValueError(f"labels are on {labels.device}, embeddings on {embeddings.device}")
        if int(labels.min()) < 0 or int(labels.max()) >= C:
            raise ValueError(f"labels must lie in [0, {C}), not in [{int(labels.min())}, {int(labels.max())}]")
