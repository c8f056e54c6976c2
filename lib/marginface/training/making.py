"""What a recipe is made into: the order of images, a network with its head, what optimises them, and in which numbers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from marginface import backbones
from marginface.data.batches import Batches, BlockBatches, IdentityBatches
from marginface.data.types import FaceData, ImageData
from marginface.heads import MarginHead
from marginface.pairwise import PairHead, PairLoss
from marginface.regularizers import Fresh
from marginface.sharded import ShardedMarginHead
from marginface.training.learner import Learner
from marginface.training.recipes import Recipe


def make_batches(recipe: Recipe, data: ImageData | FaceData, rank: int = 0, world: int = 1) -> Batches:
    """The order of the images, which the recipe's seed decides."""
    generator = torch.Generator().manual_seed(recipe.seed)
    train: Any = data.train
    size = min(recipe.batch_size, len(train))
    if size // world // recipe.accumulate < 2:
        raise ValueError(
            f"a batch of {size} in {recipe.accumulate} parts on {world} processes leaves less than two images to one"
        )
    if recipe.each > 1:
        if size // world % (recipe.accumulate * recipe.each):
            what = f"{recipe.accumulate} parts with {recipe.each} images of each of their people"
            raise ValueError(f"batch_size={size} does not divide in {what}, on {world} processes")
        labels = train.labels if hasattr(train, "labels") else train.tensors[1].numpy()
        return IdentityBatches(labels, recipe.each, size, generator, rank, world)
    if recipe.block:
        return BlockBatches(len(train), size, generator, rank, world, recipe.block)
    return Batches(len(train), size, generator, rank, world)


def make_learner(recipe: Recipe, data: ImageData | FaceData, sharded: bool = False) -> Learner:
    """A backbone and a head with fresh weights, its classes over processes if `sharded`."""
    options = {} if recipe.dropout is None else {"dropout": recipe.dropout}
    backbone = backbones.create(recipe.backbone, embedding_dim=recipe.embedding_dim, image_shape=data.image_shape, **options)
    if isinstance(recipe.margin, PairLoss):
        if isinstance(data, ImageData):
            name = type(recipe.margin).__name__
            raise ValueError(f"{name} has no class weights, with which {data.name} is tested: it takes data of people")
        head: MarginHead | PairHead = PairHead(recipe.margin)
    else:
        regularizers = [r.build() if isinstance(r, Fresh) else r for r in recipe.regularizers]
        size = recipe.embedding_dim, data.num_classes
        if sharded or recipe.sample_rate < 1:
            sampling: Any = {"sample_rate": recipe.sample_rate, "corrected": recipe.corrected}
            head = ShardedMarginHead(*size, recipe.margin, regularizers, **sampling, seed=recipe.seed)
        else:
            head = MarginHead(*size, recipe.margin, regularizers, seed=recipe.seed)
    return Learner(backbone, head).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def make_optimizer(recipe: Recipe, learner: Learner) -> torch.optim.Optimizer:
    """One optimizer with two groups: the backbone, and the head with its own learning rate.

    A third has what a loss learns of itself, such as margins: it has no weight decay, as no equation of theirs has, because of
    many classes that would outweigh what else moves a margin.
    """
    groups: list[dict[str, Any]] = [{"params": list(learner.backbone.parameters())}]
    of_loss = list(kept.parameters()) if (kept := getattr(learner.head, "kept", None)) is not None else []
    if of_head := list(learner.head.parameters()):
        lr, learned = recipe.lr * recipe.head_lr_factor, set(map(id, of_loss))
        groups.append({"params": [each for each in of_head if id(each) not in learned], "lr": lr})
        if of_loss:
            groups.append({"params": of_loss, "lr": lr, "weight_decay": 0.0})
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    kind = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}[recipe.optimizer]
    return kind(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def make_schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate over so many steps."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.course(step, steps))


def moving_average(backbone: nn.Module, decay: float) -> AveragedModel:
    """Weights averaged over time. Like TensorFlow's with a step count, it forgets faster at first: (1 + n) / (10 + n)."""

    @torch.no_grad()
    def blend(averaged: Any, current: Any, count: Tensor | int) -> None:
        n = int(count)  # once for all parameters, because a GPU is waited for
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(backbone, multi_avg_fn=blend)
    average.n_averaged = average.n_averaged.cpu()  # which a GPU would be waited for to say
    return average


def dtype_of(recipe: Recipe) -> torch.dtype:
    """What a recipe computes in, where no autocast says otherwise."""
    return torch.float64 if recipe.precision == "64-true" else torch.float32
