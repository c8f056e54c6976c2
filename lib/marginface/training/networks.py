"""A trained network with all that one has to know to use it: from a checkpoint, or from what was exported of one.

What people get wrong elsewhere (the normalisation, the order of colours, the crop) stands in the file, and is read from there.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from marginface import backbones
from marginface.data.align import CROPS, align
from marginface.data.files import printable
from marginface.data.images import scaled
from marginface.data.types import Images
from marginface.training import checkpoints
from marginface.training.testing import embed

KEY = "marginface"  # under which an exported file has its card
KINDS = (".pt", ".safetensors", ".onnx")


@dataclass(frozen=True)
class Card:
    """What a network is, in words and numbers.

    Fields:
        backbone, embedding_dim: how it is built.
        image_shape: (C, H, W) of its images, whose values are 0 to 255 before `normalisation` (see `align.normalise`).
        colours: "RGB" or "grey".
        crop: how faces are cut out, as in `FaceData`.
        mirrored: whether an image's mirror shows the same, so that its embedding is added.
        label: what it was trained on; classes: the people's names, where they have names.
        recipe: how it was trained.
        fingerprint: sha256 of its weights, by which thresholds are known to be its own.
        thresholds: those that were found for it (see `thresholds`).
    """

    backbone: str
    embedding_dim: int
    image_shape: tuple[int, int, int]
    normalisation: str
    colours: str
    crop: str
    mirrored: bool
    label: str
    fingerprint: str
    recipe: dict[str, Any]
    classes: tuple[str, ...] = ()
    thresholds: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, name: str) -> "Card":
        """Raises: ValueError naming the file whose card is none."""
        try:
            plain = json.loads(text)
            known = {each.name for each in fields(cls)}
            given: Any = {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items() if key in known}
            card = cls(**given)
            _check(card)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{name}: its card is damaged ({type(error).__name__}: {error})") from error
        return card


def _check(card: Card) -> None:
    valid = {
        "image_shape": len(card.image_shape) == 3 and all(isinstance(n, int) and 0 < n < 10_000 for n in card.image_shape),
        "normalisation": card.normalisation in ("unit", "fixed", "whitened"),
        "colours": card.colours == ("RGB" if card.image_shape[0] == 3 else "grey"),
        "crop": card.crop in CROPS,
        "mirrored": isinstance(card.mirrored, bool),
        "embedding_dim": isinstance(card.embedding_dim, int) and card.embedding_dim > 0,
        "fingerprint": isinstance(card.fingerprint, str),
    }
    for name, ok in valid.items():
        if not ok:
            raise ValueError(f"{name}={getattr(card, name)!r} makes no sense")


@dataclass(frozen=True, eq=False)
class Network:
    """A network and its card. `backbone` takes normalised images (N, C, H, W) float32."""

    backbone: nn.Module
    card: Card
    path: Path = field(default_factory=Path)

    def prepare(self, image: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """An image (H, W, 3) uint8 RGB as the network's own, (C, h, w) uint8.

        With `landmarks` (5, 2) the face is cut out (see `align.align`); without, the whole image is scaled.
        """
        channels, height, width = self.card.image_shape
        if landmarks is not None:
            return align(image, landmarks, height, grey=channels == 1, width=width)
        planes = scaled(image, height, width).transpose(2, 0, 1)
        if channels == 3:
            return np.ascontiguousarray(planes)
        return np.round(planes.astype(np.float64).transpose(1, 2, 0) @ (0.299, 0.587, 0.114)).astype(np.uint8)[None]

    def embed(self, images: Tensor | Images, what: str | None = None, batch_size: int = 256) -> np.ndarray:
        """Embeddings (N, d) float32 of length 1 of images (N, C, H, W) uint8 as `prepare` makes them; zeros stay zeros.

        `what` is said to be done, where it takes long. Raises: ValueError for images of another shape.
        """
        shape = tuple(images[0:1].shape[1:])
        if shape != self.card.image_shape:
            wanted, got = (" × ".join(map(str, each)) for each in (self.card.image_shape, shape))
            raise ValueError(f"{printable(self.path)} takes images of {wanted}, not {got}")
        found = embed(
            self.backbone,
            images,
            "none" if isinstance(self.backbone, OnnxBackbone) else self.card.normalisation,
            mirrored=self.card.mirrored,
            batch_size=batch_size,
            what=what,
        )
        return nn.functional.normalize(found).numpy()


def load_network(path: str | Path, device: str = "auto") -> Network:
    """The network in a checkpoint (.pt), or in a file that `export` wrote of one (.safetensors, .onnx).

    Raises: ValueError naming the file where it is none of these, damaged, or does not say what its images have to be.
    """
    path = Path(path)
    if path.suffix not in KINDS:
        raise ValueError(f"{printable(path)}: expected a checkpoint or an exported network ({', '.join(KINDS)})")
    if not path.is_file():
        raise ValueError(f"{printable(path)}: there is no such file")
    backbone, card = {".pt": _from_checkpoint, ".safetensors": _from_safetensors, ".onnx": _from_onnx}[path.suffix](path)
    chosen = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    if {"cuda": torch.cuda, "mps": torch.backends.mps}.get(chosen, torch.cpu).is_available() is False:
        raise ValueError(f"there is no {chosen} device here")
    return Network(backbone.eval().to(chosen), card, path)


def _from_checkpoint(path: Path) -> tuple[nn.Module, Card]:
    found = checkpoints.read(path)
    about, recipe = found.about, found.recipe
    if not about:
        raise ValueError(
            f"{printable(path)}: it does not say what its images have to be; train it again, or go on with its run"
        )
    weights = checkpoints.backbone_weights(path)
    try:
        card = Card(
            backbone=recipe["backbone"],
            embedding_dim=recipe["embedding_dim"],
            image_shape=tuple(about["image_shape"]),
            normalisation=recipe.get("normalisation", "unit"),
            colours=about["colours"],
            crop=about.get("crop", ""),
            mirrored=about.get("mirrored", False),
            label=about["label"],
            fingerprint=fingerprint(weights),
            recipe=recipe,
            classes=tuple(about.get("classes", ())),
        )
        _check(card)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{printable(path)}: what it says of itself is damaged ({type(error).__name__}: {error})") from error
    return _build(card, weights, path), card


def _from_safetensors(path: Path) -> tuple[nn.Module, Card]:
    safetensors = optional("safetensors")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{printable(path)}: not a whole .safetensors file ({error})") from error
    card = _card(metadata, path)
    return _build(card, weights, path), card


def _from_onnx(path: Path) -> tuple[nn.Module, Card]:
    return from_onnx(path.read_bytes(), path)


def from_onnx(content: bytes, path: Path) -> tuple[nn.Module, Card]:
    """Network and card of an ONNX file; `path` says in errors which. Raises: ValueError where it is damaged or has no card."""
    runtime = optional("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        raise ValueError(f"{printable(path)}: not a whole ONNX file ({str(error).splitlines()[0]})") from error
    return OnnxBackbone(session), _card(session.get_modelmeta().custom_metadata_map, path)


class OnnxBackbone(nn.Module):
    """A session of onnxruntime, which takes images (N, C, H, W) uint8 and normalises them itself; on the CPU."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session, self.input = session, session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {self.input: images.to("cpu", torch.uint8).numpy()})[0])


def _card(metadata: Mapping[str, str], path: Path) -> Card:
    if KEY not in metadata:
        raise ValueError(f"{printable(path)}: it does not say what its images have to be: `marginface export` did not write it")
    return Card.from_json(metadata[KEY], printable(path))


def _build(card: Card, weights: dict[str, Tensor], path: Path) -> nn.Module:
    backbone = backbones.create(card.backbone, embedding_dim=card.embedding_dim, image_shape=card.image_shape)
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{printable(path)}: its weights are not those of {card.backbone}: {str(error).splitlines()[-1].strip()}"
        ) from error
    return backbone


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes and values of weights, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def optional(name: str) -> Any:
    """A module of the extra [export]. Raises: ModuleNotFoundError that says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("this kind of file needs optional packages: pip install 'marginface[export]'") from error
