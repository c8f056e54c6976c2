"""MarginHead: owns the class weights and turns embeddings and labels into a loss."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from marginface.batches import Kept, Scaled, nearest
from marginface.checks import NonFiniteError as NonFiniteError
from marginface.checks import check_embeddings, check_labels, check_weights
from marginface.directions import full_precision, nonzero, norms, unit
from marginface.first_pass import FirstPass
from marginface.margins import Margin, described
from marginface.reduction import own_and_others, products, whole
from marginface.regularizers import IAM, Fresh, Stateful, Terms, gathered, process


class _Clock:
    """It ticks with every step that an optimizer of this process makes."""

    def __init__(self) -> None:
        self.steps = 0
        register_optimizer_step_post_hook(self._tick)

    def _tick(self, *_: object) -> None:
        self.steps += 1


_CLOCK = _Clock()


class MarginHead(nn.Module):
    """The last layer and its loss: a margin over the class weights, plus regularizers.

    With z_y the target logit and L the log-sum-exp of all others, the loss of a sample is
    logaddexp(L, z_y) - z_y = -log σ(z_y - L). All of it is float32, or float64 where the embeddings are: under autocast,
    too, because a cosine in half precision cannot tell an angle of 0.02 from 0.

    The class weights are (C, d), one row a class. Those of pytorch-metric-learning are (d, C): `head.weight.data = W.T`.

    What changes during training, and when:
        Schedules go by `step`: it rises with the first batch after any torch.optim.Optimizer of this process has made a step,
        so that accumulated batches are of one step. Who trains without one sets it.
        Statistics, such as class centres, move once with each batch in training mode and with gradients. What
        torch.utils.checkpoint (use_reentrant=False) computes a second time moves nothing and equals the first time, if each
        batch's backward pass comes before the next batch.

    With chunk_size=None, or at least C, all is ordinary autograd: torch.func, double backward, and
    torch.compile(fullgraph=True) work. Its backward pass has to be called outside of autocast, as PyTorch asks: within it
    gradients are computed in half precision. Over chunks of classes there is one derivative, and a compiler breaks the graph
    around them, as it does around schedules, regularizers with a state and losses that meet batches. `logits` is always of the
    first kind. What moves a state in training mode (those regularizers, AdaFace, CurricularFace, AdaCos) torch.func refuses, as
    it does PAM in any mode; ElasticFace, which draws, neither vmap nor a full graph takes.

    Arguments:
        embedding_dim: d.
        num_classes: C. With one class nothing is told from anything, and the loss is 0, but for what MagFace and AdaptiveFace
            add to it, and for SphereFace2, which asks of each class by itself.
        margin: a loss of `marginface.margins`.
        regularizers: functions of `Terms` that give what to add, () or (N,), such as `IAM(beta=0.2)`. One that is `Stateful`
            becomes a part of this module.
        chunk_size: how many classes are held at a time; None holds the whole N × C matrix.
        keep_bytes: how much memory may keep derivatives from the forward pass for the backward pass, which computes again
            what there was no room for.
        reduction: "mean"; "sum"; or "none", a loss for every sample. What a regularizer gives as one number counts for each.
        check_values: whether to look for NaN and for labels that are no class. None looks where nobody has to wait for the
            values, on a CPU. What is compiled does not look.
        seed: of what a loss draws, such as ElasticFace; a head that goes on from its state draws what it would have drawn.
    Raises: TypeError or ValueError that says what an argument must be.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        margin: Margin,
        regularizers: Sequence[Callable[[Terms], Tensor]] = (),
        chunk_size: int | None = 512,
        keep_bytes: int = 96 * 2**20,
        reduction: Literal["mean", "sum", "none"] = "mean",
        check_values: bool | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check_sizes(
            1, embedding_dim=embedding_dim, num_classes=num_classes, chunk_size=1 if chunk_size is None else chunk_size
        )
        _check_sizes(0, keep_bytes=keep_bytes)
        _check_margin(margin)
        _check_regularizers(regularizers)
        if margin.sums != "exp" and any(isinstance(r, IAM) and r.on == "logits" for r in regularizers):
            raise ValueError(f"regularizers: IAM on logits wants a log-sum-exp, which {type(margin).__name__} has not")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction={reduction!r} must be 'mean', 'sum' or 'none'")
        self.margin = margin
        self.regularizers = tuple(regularizers)
        self.chunk_size, self.keep_bytes, self.reduction, self.check_values = chunk_size, keep_bytes, reduction, check_values
        self.seed = seed
        self.stateful = nn.ModuleList(r for r in regularizers if isinstance(r, Stateful))
        held = self._held(num_classes)
        for module in self.stateful:
            some = {} if held == num_classes else {"held": held}
            module.bind(embedding_dim, num_classes, **some)  # type: ignore[operator]
        several = (margin.centres,) if margin.centres > 1 else ()
        self.weight = nn.Parameter(torch.empty(held, *several, embedding_dim))
        self.bias = nn.Parameter(torch.empty(held)) if margin.bias else None
        self.cosine = torch.empty(0)  # of the last batch with its own classes (N,), to be watched
        self.target = torch.empty(0)  # and T of it (N,), where the margin meets batches
        self.kept = Kept(margin, num_classes, held) if margin.meets else None
        self._step = 0  # steps before the last batch in training
        self._seen: int | None = None  # and what time it was then
        self._reset_weights()

    @property
    def num_classes(self) -> int:
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        return self.weight.shape[-1]

    def _held(self, num_classes: int) -> int:
        """How many of the classes this head has itself."""
        return num_classes

    def reset_parameters(self) -> None:
        """Start anew: random class weights of length about 1, no bias, step 0, and regularizers as they began."""
        self._reset_weights()
        for module in self.stateful:
            module.reset_parameters()  # type: ignore[operator]
        if self.kept is not None:
            self.kept.reset_parameters()
        self.step = 0

    def _reset_weights(self) -> None:
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.embedding_dim))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, embeddings: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Arguments:
            embeddings: (N, d) floating point, finite, N at least 1.
            labels: (N,) int64 in [0, C), on the same device.
            weights: (N,) floating point, at least 0: how much each sample counts. The mean is then Σ weight · loss / Σ weight.
        Returns: () float32, or float64 for float64 embeddings; (N,) with reduction="none".
        Raises: ValueError or TypeError naming what is wrong with any of them.
        """
        self._check(embeddings)
        check_labels(labels, embeddings, self.num_classes, self.check_values)
        if weights is not None:
            check_weights(weights, embeddings, self.check_values)
        moves, repeats = self._begin()
        with full_precision(embeddings):
            terms, margin = self._terms(embeddings, labels, moves, repeats)
            losses = self._losses(terms, margin)
            self._watch(terms.cosine.detach(), margin)
            return _reduced(losses, weights, self.reduction)

    def _watch(self, cosine: Tensor, margin: Margin) -> None:
        """Keep what the last batch was like; the margin is as it was for it."""
        self.cosine = cosine
        if self.kept is not None:
            with torch.no_grad():
                self.target = margin.target(cosine)

    def _losses(self, terms: Terms, margin: Margin) -> Tensor:
        losses = margin.losses(terms.target, terms.others)
        if margin.added is not None:
            losses = losses + margin.added
        for regularizer in self.regularizers:
            losses = losses + _checked(regularizer(terms), regularizer, losses)
        return losses

    def logits(self, embeddings: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C) scaled logits: with the margin where labels are given, plain where not. For figures and predictions."""
        self._check(embeddings)
        if labels is not None:
            check_labels(labels, embeddings, self.num_classes, self.check_values)
        with full_precision(embeddings):
            x, w = self._full_precision(embeddings)
            margin = self._margin_now()
            if labels is None:
                return self._plain(x, w, margin)
            margin = self._met_here(margin, embeddings, self._first(x, w, labels))
            bias = self._biases(x.dtype)
            own, logits = whole(x, w, labels, margin, bias)
            target, *_ = _targets(own, margin, *self._of_own(x, w, labels, margin, bias))
            return logits.scatter(1, labels[:, None], target[:, None])

    def _plain(self, x: Tensor, w: Tensor, margin: Margin) -> Tensor:
        """The logits (N, classes that are here) without a margin."""
        if self.kept is not None:
            margin = self.kept.unmet(margin, self.num_classes)
        plain, bias = margin.scaled(products(x, w, margin)), self._biases(x.dtype)
        return plain if bias is None else plain + bias

    @property
    def step(self) -> int:
        """Steps of the optimizer so far, since the first batch in training."""
        return self._step + (self._seen not in (None, _CLOCK.steps))

    @step.setter
    def step(self, value: int) -> None:
        self._step, self._seen = value, None

    def get_extra_state(self) -> dict[str, Any]:
        return {"step": self.step, "margin": described(self.margin)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        theirs, ours = state.get("margin", described(self.margin)), described(self.margin)
        if theirs != ours:
            warnings.warn(f"these class weights were trained with {theirs}, and this head has {ours}", stacklevel=2)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        state_dict.setdefault(f"{prefix}_extra_state", {"step": 0})  # of who has class weights alone
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_step": self.step, "_seen": None}  # another process has another clock

    def extra_repr(self) -> str:
        stateless = [r for r in self.regularizers if not isinstance(r, Stateful)]
        also = f", regularizers={stateless}" if stateless else ""
        also += "" if self.reduction == "mean" else f", reduction={self.reduction!r}"
        return f"{self.embedding_dim}, {self.num_classes}, {described(self.margin)}{also}, chunk_size={self.chunk_size}"

    def _begin(self) -> tuple[bool, bool]:
        """Whether state moves with this batch, and whether it is a batch's second time."""
        if not torch.compiler.is_compiling():
            return self._count()
        if self.stateful or self.margin.schedules or self.kept is not None:
            return torch.compiler.disable(MarginHead._count)(
                self
            )  # as a decorator it would load the whole compiler for everybody
        return False, False

    def _count(self) -> tuple[bool, bool]:
        if not (self.training and torch.is_grad_enabled()):
            return False, False
        if torch._C._current_graph_task_id() != -1:  # within a backward pass
            return False, True
        self._step, self._seen = self.step, _CLOCK.steps
        return True, False

    def _margin_now(self, step: int | None = None) -> Margin:
        return self.margin.at(self.step if step is None else step) if self.margin.schedules else self.margin

    def _terms(self, embeddings: Tensor, labels: Tensor, moves: bool, repeats: bool) -> tuple[Terms, Margin]:
        step = self._step if moves or repeats else None
        x, w = self._full_precision(embeddings)
        first = self._first(x, w, labels)
        margin = self._met_here(self._margin_now(step), embeddings, first, moves, repeats)
        bias = self._biases(x.dtype)
        own, others = own_and_others(x, w, labels, margin, bias, self.chunk_size, self.keep_bytes, first=first)
        target, plain_target, cosine = _targets(own, margin, *self._of_own(x, w, labels, margin, bias))

        def plain_others(scale: float | None = None) -> Tensor:
            if not self._changed(margin) and scale in (None, margin.scale):
                return others
            u = unit(x) if margin.keeps_embedding_norm else x
            plain = Scaled(margin.factor if scale is None else scale)
            return own_and_others(u, w, labels, plain, None, self.chunk_size, self.keep_bytes)[1]

        terms = Terms(
            target=target,
            others=others,
            plain_target=plain_target,
            plain_others=plain_others,
            num_classes=len(w),
            embeddings=embeddings.to(x.dtype),
            labels=labels,
            cosine=cosine,
            class_weights=w,
            steps=lambda: self.step if step is None else step,
            moves=moves,
            repeats=repeats,
        )
        return terms, margin

    def _first(self, x: Tensor, w: Tensor, labels: Tensor) -> FirstPass | None:
        return None if self.kept is None else FirstPass(x, w, labels, self.chunk_size, self.keep_bytes)

    def _met_here(
        self, margin: Margin, embeddings: Tensor, first: FirstPass | None, moves: bool = False, repeats: bool = False
    ) -> Margin:
        """The margin as it is for a batch, whose classes are all here."""
        if self.kept is None or first is None:
            return margin
        return self.kept.meet(
            margin,
            embeddings.to(first.x.dtype),
            moves,
            repeats,
            cosine=lambda: nearest(unit(first.x), first.weight[first.labels]),
            num_classes=self.num_classes,
            seed=self.seed,
            rank=process(),
            others=first.others,
            neighbour=first.neighbour,
            own=lambda table: table[first.labels],
            mean=lambda table: table.mean(),
            gather=lambda values: gathered(values)[0],
        )

    def _changed(self, margin: Margin) -> bool:
        """Whether logits of other classes are not s · cos θ_j."""
        return margin.changes_others or margin.keeps_embedding_norm or margin.keeps_weight_norm or self.bias is not None

    def _of_own(
        self, x: Tensor, w: Tensor, labels: Tensor, margin: Margin, bias: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The norms of samples and of their classes that the margin keeps, and the bias: each (N,), or None for none."""
        return (
            norms(x) if margin.keeps_embedding_norm else None,
            norms(w[labels]) if margin.keeps_weight_norm else None,
            None if bias is None else bias[labels],
        )

    def _biases(self, dtype: torch.dtype) -> Tensor | None:
        """The bias of each class that is here (C,), if there is any."""
        if self.kept is None or self.kept.bias is None:
            return self.bias
        return self._shared(self.kept.bias).to(dtype).expand(len(self.weight))

    def _shared(self, same: Tensor) -> Tensor:
        """What is the same for all classes, for computing with those that are here."""
        return same

    def _full_precision(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings, of unit length unless the margin keeps their norm, and class weights, both float32 or float64."""
        x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        x = x if self.margin.keeps_embedding_norm else unit(x)
        w = self.weight if type(self.weight) is nn.Parameter else _together(self.weight)
        return x, w.to(x.dtype)

    def _check(self, embeddings: Tensor) -> None:
        check_embeddings(embeddings, self.embedding_dim, self.check_values)
        if embeddings.device != self.weight.device:
            raise ValueError(f"embeddings are on {embeddings.device}, the class weights on {self.weight.device}")


def _targets(
    own: Tensor, margin: Margin, of_x: Tensor | None, of_weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """z_y with the margin, s · cos θ_y, and cos θ_y clamped to [-1, 1], from the product with the own class: each (N,)."""
    s, length = margin.factor, None
    if of_x is not None:
        length = nonzero(of_x)
    if of_weight is not None:
        length = nonzero(of_weight) if length is None else length * nonzero(of_weight)
    cosine = own if length is None else own / length
    within = cosine.clamp(-1, 1)
    target = s * own
    if margin.changes_target:
        target = s * margin.target(within) if length is None else s * length * margin.target(within)
    return target if bias is None else target + bias, s * cosine, within


def _together(weight: Tensor) -> Tensor:
    """Class weights that are in parts on several processes (DTensor), as one tensor; all processes have to call this."""
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight


def _checked(term: Tensor, regularizer: object, losses: Tensor) -> Tensor:
    if term.shape not in ((), losses.shape):
        raise ValueError(f"{regularizer!r} gave {tuple(term.shape)}; a regularizer gives () or ({len(losses)},)")
    return term


def _reduced(losses: Tensor, weights: Tensor | None, reduction: str) -> Tensor:
    weighted = losses if weights is None else losses * weights.to(losses.dtype)
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return weighted.sum()
    return weighted.mean() if weights is None else weighted.sum() / nonzero(weights.to(losses.dtype).sum())


def _check_sizes(least: int, **sizes: int) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, not {type(value).__name__} {value!r}")
        if value < least:
            raise ValueError(f"{name}={value} must be at least {least}")


def _check_margin(margin: object) -> None:
    if isinstance(margin, type) and issubclass(margin, Margin):
        raise TypeError(f"margin must be a loss, not its class: {margin.__name__}()")
    if not isinstance(margin, Margin):
        raise TypeError(f"margin must be a loss of marginface.margins, such as ArcFace(), not {margin!r}")


def _check_regularizers(regularizers: object) -> None:
    if not isinstance(regularizers, Sequence) or isinstance(regularizers, str):
        raise TypeError(f"regularizers must be a list, such as [IAM(beta=0.1)], not {type(regularizers).__name__}")
    for each in regularizers:
        if isinstance(each, type):
            raise TypeError(f"regularizers: {each.__name__} is a class; one of its kind is wanted, with its settings")
        if isinstance(each, Fresh):
            raise TypeError(f"regularizers: {each} is of a recipe; a head takes what its build() gives")
        if not callable(each):
            raise TypeError(f"regularizers: {each!r} is no function of Terms")
