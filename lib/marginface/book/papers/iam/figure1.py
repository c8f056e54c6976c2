"""IAM Figure 1: the pipeline of training, taken from the modules that train, with the shapes of a batch that passes through."""

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from marginface import backbones
from marginface.book.items import Item
from marginface.book.verdicts import Claim
from marginface.heads import MarginHead
from marginface.margins import Margin
from marginface.regularizers import IAM
from marginface.training.recipes import IAM_CASIA, RECIPES, Recipe

SHAPE = (3, 160, 160)  # of the paper's network; it prints no size
CLASSES = 10_575  # "about 0.49 million face images from 10,575 subjects" (§5.2)
RECIPE = RECIPES["iam/scaled-softmax-iam-casia"]


@dataclass(frozen=True)
class Stage:
    """A module, how many of its kind follow each other, the shape that leaves them, and which part of Figure 1 it is."""

    name: str
    shape: tuple[int, ...]
    part: str  # "face", "network", "feature" or "loss"
    count: int = 1

    @property
    def title(self) -> str:
        return f"{self.count} × {self.name}" if self.count > 1 else self.name


def pipeline(network: nn.Module, faces: Tensor, recipe: Recipe = RECIPE) -> list[Stage]:
    """What a batch of faces (N, 3, 160, 160) passes on its way to the loss, in order: each module of the backbone, then the
    head."""
    margin, terms = recipe.margin, [term for term in recipe.regularizers if isinstance(term, IAM)]
    assert isinstance(margin, Margin)
    head = MarginHead(recipe.embedding_dim, CLASSES, margin, terms)
    passed: list[Stage] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        passed.append(Stage(_name(module), tuple(output.shape), "network"))

    hooks = [module.register_forward_hook(note) for module in network.children()]
    with torch.no_grad():
        features = network.eval()(faces)
        logits, loss = head.logits(features), head(features, torch.arange(len(faces)))
    for hook in hooks:
        hook.remove()
    stages = [Stage("faces", tuple(faces.shape), "face"), *_together(passed[:-1])]
    stages.append(Stage("feature: pooling, fully connected, BatchNorm", tuple(features.shape), "feature"))
    stages.append(Stage("class weights: logits", tuple(logits.shape), "loss"))
    return [*stages, Stage("loss", tuple(loss.shape), "loss")]


def drawn(batch: int) -> Tensor:
    """A schematic face each of as many people, as the network takes them: (batch, 3, 160, 160)."""
    from marginface.data.synthetic import Synthetic

    channels, size, _ = SHAPE
    faces = Synthetic(batch, size, channels).images(torch.arange(batch), torch.zeros(batch, dtype=torch.int64))
    return (faces - 127.5) / 128


@cache
def network_of(recipe: Recipe = RECIPE) -> nn.Module:
    """The backbone with fresh weights."""
    return backbones.create(recipe.backbone, embedding_dim=recipe.embedding_dim, image_shape=SHAPE)


def _name(module: nn.Module) -> str:
    convolution = module[0] if isinstance(module, nn.Sequential) else module
    if isinstance(convolution, nn.Conv2d):
        kernel = "×".join(map(str, convolution.kernel_size))
        return f"Convolution {kernel}" + (f", stride {convolution.stride[0]}" if convolution.stride[0] > 1 else "")
    return {"Branches": "Branches side by side", "Residual": "Residual unit", "MaxPool2d": "MaxPool"}.get(
        type(module).__name__, type(module).__name__
    )


def _together(stages: list[Stage]) -> list[Stage]:
    """Equal modules that follow each other as one stage."""
    groups = [list(group) for _, group in groupby(stages, key=lambda stage: (stage.name, stage.shape))]
    return [Stage(group[0].name, group[0].shape, "network", len(group)) for group in groups]


def claims(chosen: SimpleNamespace) -> list[Claim]:
    """What §1 says of the figure, of the modules."""
    network = network_of()
    stages = pipeline(network, torch.zeros(2, *SHAPE))
    feature, logits, loss = stages[-3:]
    inside = [name for name, weight in network.named_parameters() if CLASSES in weight.shape]
    return [
        Claim(
            "“the network is trained with the loss function in the last layer”",
            "§1, Figure 1",
            logits.shape == (2, CLASSES) and loss.shape == (),
            f"the head has a weight for each of {CLASSES:,} people, and makes one loss of a batch",
        ),
        Claim(
            "“the representation in the penultimate layer is used as the feature of human faces”",
            "§1, Figure 1",
            feature.shape == (2, RECIPE.embedding_dim) and not inside,
            f"what goes into the head is {feature.shape[1]} numbers a face; the network has no weight of a class in it",
        ),
    ]


FIGURE1 = Item("IAM", "Figure 1", notebook="iam/figure1", parameters={"batch": IAM_CASIA.batch_size}, statements=claims)
