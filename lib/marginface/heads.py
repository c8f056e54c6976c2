"""MarginHead: owns the class weights and turns embeddings and labels into a loss."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marginface.margins import Margin, NormFace
from marginface.reduction import nonzero_norm, own_and_others
from marginface.regularizers import Stateful, Terms


class NonFiniteError(ValueError):
    """Embeddings hold NaN or infinity."""


class MarginHead(nn.Module):
    """The last layer and its loss: a margin over the class weights, plus regularizers.

    With z_y the target logit and L the log-sum-exp of all others, the loss of a sample is
    logaddexp(L, z_y) - z_y = -log σ(z_y - L). All of it is float32, or float64 where the embeddings are: under autocast,
    too, because a cosine in half precision cannot tell an angle of 0.02 from 0.

    Arguments:
        embedding_dim: d.
        num_classes: C. With one class there is nothing to learn, and the loss is 0.
        margin: a loss of `marginface.margins`.
        regularizers: functions of `Terms` that give a scalar to add, such as `IAM(beta=0.2)`. One that is `Stateful`
            becomes a part of this module.
        chunk_size: how many classes are held at a time; None holds the whole N × C matrix.
        keep_bytes: how much memory may keep derivatives from the forward pass for the backward pass, which computes again
            what there was no room for.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        margin: Margin,
        regularizers: Sequence[Callable[[Terms], Tensor]] = (),
        chunk_size: int | None = 512,
        keep_bytes: int = 96 * 2**20,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("embedding_dim", embedding_dim, 1),
            ("num_classes", num_classes, 1),
            ("chunk_size", 1 if chunk_size is None else chunk_size, 1),
            ("keep_bytes", keep_bytes, 0),
        ):
            if value < least:
                raise ValueError(f"{name}={value} must be at least {least}")
        self.margin = margin
        self.regularizers = tuple(regularizers)
        self.chunk_size, self.keep_bytes = chunk_size, keep_bytes
        self.stateful = nn.ModuleList(r for r in regularizers if isinstance(r, Stateful))
        for module in self.stateful:
            module.bind(embedding_dim, num_classes)  # type: ignore[operator]
        self.weight = nn.Parameter(torch.empty(num_classes, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(num_classes)) if margin.bias else None
        self.cosine = torch.empty(0)  # of the last batch with its own classes (N,), to be watched
        self.step = 0  # training batches seen so far, for losses with a schedule
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
            total = sum((regularizer(terms) for regularizer in self.regularizers), start=loss)
        self.cosine = terms.cosine.detach()
        if self.training:
            self.step += 1
        return total

    def get_extra_state(self) -> dict[str, int]:
        return {"step": self.step}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.step = state["step"]

    def logits(self, embeddings: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C) scaled logits: with the margin where labels are given, plain where not. For figures and predictions."""
        self._check(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            x, w = self._full_precision(embeddings)
            if not self.margin.keeps_weight_norm:
                w = w / nonzero_norm(w)[:, None]
            cosine = x @ w.T
            if labels is not None:
                terms = self._terms(embeddings, labels)
                own = cosine.gather(1, labels[:, None])
                shift = self.margin.shift(own, w[labels] @ w.T if self.margin.needs_centres else None)
                cosine = self.margin.others(cosine, shift)
            logits = (self.margin.scale or 1.0) * cosine
            if self.bias is not None:
                logits = logits + self.bias
            return logits if labels is None else logits.scatter(1, labels[:, None], terms.target[:, None])

    def _terms(self, embeddings: Tensor, labels: Tensor) -> Terms:
        x, w = self._full_precision(embeddings)
        margin = self.margin.at(self.step)
        product, others = self._others(x, w, labels, margin, self.bias)
        offset = 0.0 if self.bias is None else self.bias[labels]
        s = margin.scale or 1.0
        plain = s * product + offset
        length = nonzero_norm(x) if margin.keeps_embedding_norm else torch.ones_like(product)
        if margin.keeps_weight_norm:
            length = length * nonzero_norm(w[labels])
        cosine = (product / length).clamp(-1, 1)
        return Terms(
            target=s * length * margin.target(cosine) + offset if margin.changes_target else plain,
            others=others,
            plain_target=plain,
            plain_others=lambda: self._others(x, w, labels, NormFace(s), None)[1] if margin.changes_others else others,
            num_classes=len(w),
            embeddings=embeddings.to(x.dtype),
            labels=labels,
            cosine=cosine,
            class_weights=w,
        )

    def _others(self, x: Tensor, w: Tensor, labels: Tensor, margin: Margin, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        return own_and_others(x, w, labels, margin, bias, self.chunk_size, self.keep_bytes)

    def _full_precision(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings, of unit length unless the margin keeps their norm, and class weights, both float32 or float64."""
        x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        x = x if self.margin.keeps_embedding_norm else x / nonzero_norm(x)[:, None]
        return x, self.weight.to(x.dtype)

    def _check(self, embeddings: Tensor, labels: Tensor | None) -> None:
        d, C = self.weight.shape[1], self.weight.shape[0]
        if embeddings.dim() != 2 or embeddings.shape[1] != d or len(embeddings) == 0:
            raise ValueError(f"embeddings must have shape (N, {d}) with N at least 1, not {tuple(embeddings.shape)}")
        if not embeddings.is_floating_point():
            raise ValueError(f"embeddings must be floating point, not {embeddings.dtype}")
        if embeddings.device != self.weight.device:
            raise ValueError(f"embeddings are on {embeddings.device}, the class weights on {self.weight.device}")
        if not torch.isfinite(embeddings).all():
            raise NonFiniteError("embeddings hold NaN or infinity")
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
