"""Some of the classes at a time (Partial FC, An et al. 2021): which ones, and an optimizer that leaves the others alone.

Of a rank's classes those of the batch are always there, the others are drawn at random. With C_r classes, P of the batch among
them, and K chosen, each of the others is there with the probability (K - P) / (C_r - P). One over it, as a factor of what they
add to Σ exp(logit), makes that sum right on average: a bias of its logarithm. The public code leaves that out.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from marginface.ranks import within


def chosen(classes: int, rate: float, samples: int) -> int:
    """How many of a rank's classes take part: a share of them, and always room for the classes of all samples.

    The batch does not decide, so that nobody has to look at it.
    """
    return min(classes, max(math.ceil(rate * classes), samples))


def generator(seed: int | str, draw: int, rank: int, device: torch.device) -> torch.Generator | None:
    """What the draw of a rank comes from, so that a run that goes on draws what it would have drawn.

    A seed that is a text is of another draw than that of classes.
    """
    if device.type == "meta":
        return None
    number = int.from_bytes(hashlib.sha256(f"{seed} {draw} {rank}".encode()).digest()[:7])
    return torch.Generator(device).manual_seed(number)


def draw_classes(classes: int, count: int, place: Tensor, source: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Which of a rank's classes take part.

    Arguments:
        count: how many, at least as many as there are in the batch.
        place: (N,) int64, where each sample's class lies in [0, classes), if it is here.
    Returns:
        The classes (count,) int64, ascending.
        (N,) int64, where each sample's class lies among them; `count` if it is not here.
        (count,) float64, the logarithm of one over the probability with which each is there: 0 for those of the batch.
    """
    inside, _ = within(place, classes)
    number = torch.rand(classes + 1, generator=source, device=place.device)
    number[-1] = -1.0  # a row beyond them, for what is elsewhere
    number.index_fill_(0, torch.where(inside, place, classes), 2.0)
    number = number[:-1]
    index = number.topk(count).indices.sort().values
    among = torch.where(inside, torch.searchsorted(index, place), count)
    own = number == 2
    here = own.sum().double()
    correction = ((classes - here).clamp_min(1) / (count - here).clamp_min(1)).log()
    return index, among, torch.where(own[index], 0.0, correction)


def rows(table: nn.Parameter, index: Tensor) -> Tensor:
    """Rows of a parameter, whose gradient is of these rows alone, and which an optimizer's step moves alone.

    This holds for every torch.optim.Optimizer whose state has a number for each number of the parameter: the state of other
    rows is as it was, and neither momentum nor weight decay moves them.
    """
    table.moves_by_rows = True  # type: ignore[attr-defined]
    return _Rows.apply(table, index)


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table[index]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        # ascending and without repetition: so nobody has to sort them
        sparse = torch.sparse_coo_tensor(index[None], gradient, ctx.shape, check_invariants=False, is_coalesced=True)
        return sparse, None


class _Away(NamedTuple):
    """What of a parameter is away while an optimizer makes a step."""

    optimizer: Optimizer
    parameter: nn.Parameter
    whole: Tensor
    which: Tensor  # of its rows
    gradient: Tensor
    kept: dict[str, Tensor]  # of the optimizer's state


class _Rest:
    """While an optimizer makes a step, it sees of such a parameter the rows that have a gradient, and of its state, too.

    A closure sees all of it: rows are taken after it, since they are those of the gradient that it makes.
    """

    def __init__(self) -> None:
        self._away: list[_Away] = []
        register_optimizer_step_pre_hook(self._before)
        register_optimizer_step_post_hook(self._after)

    def _before(self, optimizer: Optimizer, arguments: Any, named: Any) -> tuple[Any, Any] | None:
        closure = named.get("closure") or (arguments[1] if len(arguments) > 1 else None)
        if not callable(closure):
            self._take(optimizer)
            return None

        def closure_and_take() -> Any:
            self._after(optimizer)  # where it is called several times in a step
            loss = closure()
            self._take(optimizer)
            return loss

        if "closure" in named:
            return arguments, {**named, "closure": closure_and_take}
        return (arguments[0], closure_and_take, *arguments[2:]), named

    def _after(self, optimizer: Optimizer, *_: Any) -> None:
        self._put_back(lambda away: away.optimizer is optimizer)

    def settle(self, parameters: Iterable[Tensor]) -> None:
        """Put back what a step has left away that was interrupted."""
        if self._away:
            these = {id(parameter) for parameter in parameters}
            self._put_back(lambda away: id(away.parameter) in these)

    @torch.no_grad()
    def _take(self, optimizer: Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.settle(parameters)
        for parameter in parameters:
            gradient = parameter.grad
            if gradient is not None and gradient.is_sparse and getattr(parameter, "moves_by_rows", False):
                self._take_rows(optimizer, parameter, gradient.coalesce())

    def _take_rows(self, optimizer: Optimizer, parameter: nn.Parameter, gradient: Tensor) -> None:
        whole, index, state = parameter.data, gradient.indices()[0], optimizer.state[parameter]
        kept = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.shape == whole.shape}
        some, some_kept = whole[index], {name: value[index] for name, value in kept.items()}  # first, as memory may be short
        self._away.append(_Away(optimizer, parameter, whole, index, gradient, kept))
        parameter.grad = None
        parameter.data = some
        parameter.grad = gradient.values()
        state.update(some_kept)

    @torch.no_grad()
    def _put_back(self, wanted: Callable[[_Away], bool]) -> None:
        now = [away for away in self._away if wanted(away)]
        self._away = [away for away in self._away if not wanted(away)]
        for optimizer, parameter, whole, index, gradient, kept in now:
            state, some, dropped = optimizer.state[parameter], parameter.data, parameter.grad is None
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == some.shape:
                    all_of_it = kept[name] if name in kept else torch.zeros_like(whole)
                    state[name] = all_of_it.index_copy_(0, index, value)
            parameter.grad = None
            parameter.data = whole.index_copy_(0, index, some)
            parameter.grad = None if dropped else gradient  # after a step that was interrupted it may be zero_grad's


_REST = _Rest()


def settle(parameters: Iterable[Tensor]) -> None:
    """Put back the rows of parameters that a step of an optimizer has left away, if it was interrupted."""
    _REST.settle(parameters)
