"""A network for other programs: ONNX and safetensors, each with the network's card in it."""

import logging
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from marginface.data.align import normalise
from marginface.data.files import printable, writing
from marginface.training import thresholds
from marginface.training.networks import KEY, Card, Network, OnnxBackbone, from_onnx, optional

MOST_DIFFERENT = 1e-3  # of a number of an embedding of length 1: more is another network


class FromPixels(nn.Module):
    """A network from images (N, C, H, W) uint8, whatever its normalisation: nobody can feed it another one."""

    def __init__(self, backbone: nn.Module, normalisation: str) -> None:
        super().__init__()
        self.backbone, self.normalisation = backbone, cast(Literal["unit", "fixed", "whitened"], normalisation)

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(normalise(images, self.normalisation))


def to_safetensors(network: Network, path: str | Path) -> Path:
    """Write weights and card.

    Raises: ValueError for a network of an ONNX file; ModuleNotFoundError without the extra [export].
    """
    _check_weights(network)
    save = optional("safetensors.torch").save
    weights = {name: value.detach().cpu().contiguous() for name, value in network.backbone.state_dict().items()}
    with writing(path) as file:
        file.write(save(weights, metadata={KEY: complete(network).to_json()}))
    return Path(path)


def to_onnx(network: Network, path: str | Path) -> float:
    """Write the network as ONNX: from "images" (N, C, H, W) uint8, any N, to "embeddings" (N, d) float32.

    It normalises images itself, so that nobody can do it wrongly; the card is in the file's metadata.
    Returns: the largest difference to the network, of a number of an embedding of length 1, on random images by onnxruntime.
    Raises: ValueError where that is more than 1e-3, and nothing is written, and for a network of an ONNX file;
        ModuleNotFoundError without the extra [export].
    """
    _check_weights(network)
    onnx = optional("onnx")
    for name in ("onnxscript", "onnxruntime"):
        optional(name)
    model = FromPixels(network.backbone, network.card.normalisation).cpu().eval()
    example = torch.zeros(2, *network.card.image_shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # of packages that it could use, and need not
        program: Any = torch.onnx.export(
            model,
            (example,),
            input_names=["images"],
            output_names=["embeddings"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto
    card = complete(network)
    onnx.helper.set_model_props(proto, {KEY: card.to_json()})
    proto.doc_string = in_words(card)
    content = proto.SerializeToString()
    worst = difference(network, Network(*from_onnx(content, Path(path)), Path(path)))
    if not worst <= MOST_DIFFERENT:
        raise ValueError(f"{printable(path)} is not written: its embeddings differ from the network's by {worst:g}")
    with writing(path) as file:
        file.write(content)
    return worst


def _check_weights(network: Network) -> None:
    """That a network has its weights. An ONNX file's are in its session, where nobody reaches them."""
    if isinstance(network.backbone, OnnxBackbone):
        raise ValueError(
            f"{printable(network.path)}: an ONNX file is not exported again: take the checkpoint that it was made of"
        )


def difference(one: Network, other: Network, images: int = 5) -> float:
    """The largest difference of a number of an embedding, over random images."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, *one.card.image_shape), dtype=np.uint8)
    return float(np.abs(one.embed(pixels) - other.embed(pixels, batch_size=3)).max())


def complete(network: Network) -> Card:
    """The network's card with the thresholds that were found for it."""
    found = thresholds.read(network)
    return replace(network.card, thresholds=tuple(asdict(each) for each in found))


def parameters(network: Network) -> int:
    """How many numbers a network has."""
    return sum(value.numel() for value in network.backbone.state_dict().values())


def in_words(card: Card) -> str:
    """What one has to know to use the network elsewhere."""
    channels, height, width = card.image_shape
    crop = "cut out by `marginface align`, as InsightFace's are" if card.crop else "cut out as those that it was trained on"
    lines = [
        f"{card.backbone}, embeddings of {card.embedding_dim} dimensions, trained on {card.label}.",
        f"Images: {channels} × {height} × {width} uint8, {card.colours}, faces {crop}.",
        "Compare embeddings by their cosine; the sum of an image's and its mirror image's is better than one of them.",
        *(f"At a score of {each['score']:.4f} and more the FAR is {each['far']:g}." for each in card.thresholds),
    ]
    return "\n".join(lines)
