"""What a network is worth on the tests of its data."""

import numpy as np
import torch
from torch import Tensor, nn

from marginface.data.align import normalise
from marginface.data.catalog import FaceData, ImageData
from marginface.evaluation.classification import class_angles
from marginface.evaluation.verification import kfold_accuracy
from marginface.heads import MarginHead
from marginface.loop import Learner

DRAWN_SAMPLES = 10_000  # "We draw 10,000 training samples" (IAM §5.1)


@torch.no_grad()
def evaluate(
    learner: Learner, data: ImageData | FaceData, normalisation: str = "unit", dtype: torch.dtype = torch.float32
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """What a learner is worth on the data's tests.

    For images of classes: accuracy and class angles; arrays of which test images are right and of the first training
    samples' directions. For faces: the accuracy of every protocol, over its folds, with the embeddings of an image and its
    mirror added; arrays of every pair's score and of whether it was judged rightly.
    """
    if isinstance(data, ImageData):
        return _evaluate_classes(learner, data, normalisation, dtype)
    metrics, arrays = {}, {}
    for name, test in data.tests.items():
        embeddings = embed(learner.backbone, torch.tensor(test.images), normalisation, dtype, mirrored=True)
        directions = nn.functional.normalize(embeddings.double()).numpy()
        scores = (directions[test.left] * directions[test.right]).sum(axis=1)
        result = kfold_accuracy(scores, test.same, test.fold)
        metrics[name] = result.accuracy
        arrays[f"{name} correct"], arrays[f"{name} scores"] = result.correct, scores.astype(np.float16)
    return metrics, arrays


def _evaluate_classes(
    learner: Learner, data: ImageData, normalisation: str, dtype: torch.dtype
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    images, labels = data.tensors("test")
    embeddings = embed(learner.backbone, images, normalisation, dtype)
    assert isinstance(learner.head, MarginHead)
    device = next(learner.parameters()).device
    predicted = learner.head.logits(embeddings.to(device)).argmax(dim=1).cpu()
    correct = predicted == labels
    metrics = {"accuracy": float(correct.double().mean())} | class_angles(embeddings, labels)
    arrays = {"test_correct": correct.numpy()}
    if embeddings.shape[1] <= 3:
        images, labels = data.tensors("train")
        drawn = embed(learner.backbone, images[:DRAWN_SAMPLES], normalisation, dtype)
        arrays["train_directions"] = nn.functional.normalize(drawn).numpy().astype(np.float16)
        arrays["train_labels"] = labels[:DRAWN_SAMPLES].numpy().astype(np.uint8)
    return metrics, arrays


@torch.no_grad()
def embed(
    backbone: nn.Module,
    images: Tensor,
    normalisation: str = "unit",
    dtype: torch.dtype = torch.float32,
    mirrored: bool = False,
    batch_size: int = 1000,
) -> Tensor:
    """Embeddings (N, d) of images (N, C, H, W) uint8, on the CPU, with the backbone in evaluation mode.

    `mirrored` adds the embedding of each image's mirror image, as the public evaluations do.
    """
    device = next((p.device for p in backbone.parameters()), torch.device("cpu"))
    was_training = backbone.training
    backbone.eval()
    parts = []
    for batch in images.split(batch_size):
        x = normalise(batch.to(device), normalisation).to(dtype)  # type: ignore[arg-type]
        parts.append((backbone(x) + backbone(x.flip(3)) if mirrored else backbone(x)).cpu())
    backbone.train(was_training)
    return torch.cat(parts)
