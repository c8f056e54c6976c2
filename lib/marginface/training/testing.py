"""What a network is worth on the tests of its data."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, assert_never

import numpy as np
import torch
from torch import Tensor, nn

from marginface.data.align import normalise
from marginface.data.progress import Meter
from marginface.data.types import (
    AllPairsTest,
    FaceData,
    IdentificationTest,
    ImageData,
    Images,
    PairTest,
    RefinementTest,
    TemplateTest,
    Test,
)
from marginface.evaluation import searches
from marginface.evaluation.classification import class_angles
from marginface.evaluation.curves import auc
from marginface.evaluation.identification import megaface
from marginface.evaluation.placements import all_pairs
from marginface.evaluation.refinement import centre_angles, furthest
from marginface.evaluation.scores import TIE
from marginface.evaluation.templates import pool, template_scores
from marginface.evaluation.verification import far_threshold, kfold_accuracy
from marginface.heads import MarginHead
from marginface.ranks import Ranks
from marginface.training.learner import Learner

DRAWN_SAMPLES = 10_000  # "We draw 10,000 training samples" (IAM §5.1)
TEMPLATE_FARS = (1e-3, 1e-4, 1e-5, 1e-6)  # the last only where there are as many impostor pairs: LFW has too few people
IDENTIFICATION_FAR = 1e-6


@torch.no_grad()
def evaluate(
    learner: Learner,
    data: ImageData | FaceData,
    normalisation: str = "unit",
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
    ranks: Ranks | None = None,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """What a learner is worth on the data's tests.

    For images of classes: accuracy and class angles; arrays of which test images are right and of the first training
    samples' directions. For faces, with the embeddings of an image and its mirror added (unless `FaceData.mirrored` says that
    it shows something else): the accuracy of every set of pairs over its folds; for templates TAR at FAR; for identification
    the share of mates at rank 1, and TAR at FAR. Arrays of which pairs were judged rightly, of genuine ones alone where the
    measure is about them, or of how many by people (see `searches.Search`). For all pairs of a set AUC, and TAR at FAR as
    "… TAR@FAR=1e-04"; arrays of a few numbers for groups of people (see `placements.Placements`). For wrong names the share
    that is found among as many images furthest from their centres, and how often a wrong one is further than a right one.

    `progress` says on stderr how far it is, where it takes long. Of several `ranks` each embeds its share of a test's images,
    the first judges them, and all have the outcome; all have to call this together.
    """
    if isinstance(data, ImageData):
        return _evaluate_classes(learner, data, normalisation, dtype, "testing, images" if progress else None, ranks)
    ranks = ranks or Ranks.alone()
    with ranks.together():
        return ranks.told(_evaluate_faces(learner, data, normalisation, dtype, progress, ranks))


def _evaluate_faces(
    learner: Learner, data: FaceData, normalisation: str, dtype: torch.dtype, progress: bool, ranks: Ranks
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    metrics: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    embedded: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # tests that share their images embed them once
    for name, test in data.tests.items():
        if id(test.images) not in embedded:
            what = f"testing on {name}, images" if progress else None
            how: dict[str, Any] = {"mirrored": data.mirrored, "what": what, "ranks": ranks}
            found = embed(learner.backbone, test.images, normalisation, dtype, **how).double()
            embedded[id(test.images)] = nn.functional.normalize(found).numpy(), found.norm(dim=1).numpy()
        if ranks.rank > 0:
            continue
        with Meter(f"testing on {name}", _compared(test)) as meter:
            tell = meter.update if progress else (lambda more=1: None)
            for measure, value, kept in _judge(name, test, *embedded[id(test.images)], tell):
                metrics[measure] = value
                arrays |= kept
    return metrics, arrays


def _compared(test: Test) -> int | None:
    """How much `_judge` will tell of."""
    if isinstance(test, TemplateTest):
        return len(test.left)
    if isinstance(test, AllPairsTest):
        return len(test.people) * (len(test.people) + 1)
    return len(test.distractors) if isinstance(test, IdentificationTest) else None


def _judge(
    name: str, test: Test, directions: np.ndarray, lengths: np.ndarray, tell: Callable[[int], object]
) -> Iterator[tuple[str, float, dict[str, np.ndarray]]]:
    """What a test measures of unit embeddings (M, d), whose lengths (M,) were, too: its name, its value, what is kept of it."""
    if isinstance(test, PairTest):
        scores = (directions[test.left] * directions[test.right]).sum(axis=1)
        verified = kfold_accuracy(scores, test.same, test.fold)
        yield name, verified.accuracy, {f"{name} correct": verified.correct}
    elif isinstance(test, TemplateTest):
        weights = None if test.quality is None else test.quality * lengths[test.place]
        templates = pool(directions[test.place], test.template, test.medium, weights)
        scores = template_scores(*templates, test.left, test.right, progress=tell)
        for far in TEMPLATE_FARS:
            if far >= 1e-5 or far * (~test.same).sum() >= 1:
                accepted = scores[test.same] >= far_threshold(scores, test.same, far, TIE)
                yield f"{name} TAR@FAR={far:g}", float(accepted.mean()), {f"{name} TAR@FAR={far:g} correct": accepted}
    elif isinstance(test, AllPairsTest):
        chosen = directions if test.place is None else directions[test.place]
        found = all_pairs(chosen, test.people, test.kind, progress=tell)
        yield f"{name} AUC", found.auc, {f"{name} {part}": array for part, array in found.arrays().items()}
        for far, tar in zip(found.fars, found.tars, strict=True):
            yield f"{name} TAR@FAR={far:.0e}", float(tar), {}
    elif isinstance(test, IdentificationTest):
        noise = np.zeros(len(test.images), dtype=bool) if test.noise is None else test.noise
        fars: tuple[float, ...] = (IDENTIFICATION_FAR,)
        if test.depth is not None:
            fars = searches.affordable(len(test.probes) * len(test.distractors), IDENTIFICATION_FAR)
        both = megaface(
            directions[test.probes],
            test.people,
            directions[test.distractors],
            noise[test.probes],
            noise[test.distractors],
            depth=test.depth or 1,
            fars=fars,
            progress=tell,
        )
        results = {name: both.raw} if test.noise is None else {name: both.raw, f"{name}(R)": both.refined}
        for which, result in results.items():
            accepted = result.scores >= result.threshold(IDENTIFICATION_FAR)
            measure = f"{which} TAR@FAR={IDENTIFICATION_FAR:g}"
            kept = {f"{which} rank-1 correct": result.ranks == 1, f"{measure} correct": accepted}
            if test.depth is not None:
                search = searches.Search.of_result(result, test.people, IDENTIFICATION_FAR, fars)
                kept = {f"{which} {part}": array for part, array in search.arrays().items()}
            yield f"{which} rank-1", result.rank_k(1), kept
            yield measure, float(accepted.mean()), {}
    elif isinstance(test, RefinementTest):
        angles = centre_angles(directions[test.place], test.labels)
        found = furthest(angles, int(test.wrong.sum()))[test.wrong]
        yield f"{name} found", float(found.mean()), {f"{name} found correct": found}
        yield f"{name} AUC", auc(angles, test.wrong), {}
    else:
        assert_never(test)


def _evaluate_classes(
    learner: Learner, data: ImageData, normalisation: str, dtype: torch.dtype, what: str | None, ranks: Ranks | None
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    images, labels = data.tensors("test")
    embeddings = embed(learner.backbone, images, normalisation, dtype, what=what, ranks=ranks)
    assert isinstance(learner.head, MarginHead)
    device = next(learner.parameters()).device
    predicted = learner.head.logits(embeddings.to(device)).argmax(dim=1).cpu()
    correct = predicted == labels
    metrics = {"accuracy": float(correct.double().mean())} | class_angles(embeddings, labels)
    arrays = {"test_correct": correct.numpy()}
    if embeddings.shape[1] <= 3:
        images, labels = data.tensors("train")
        drawn = embed(learner.backbone, images[:DRAWN_SAMPLES], normalisation, dtype, what=what, ranks=ranks)
        arrays["train_directions"] = nn.functional.normalize(drawn).numpy().astype(np.float16)
        arrays["train_labels"] = labels[:DRAWN_SAMPLES].numpy().astype(np.uint8)
        arrays["class_directions"] = nn.functional.normalize(learner.head.weight, dim=-1).cpu().numpy().astype(np.float16)
    return metrics, arrays


@torch.no_grad()
def embed(
    backbone: nn.Module,
    images: Tensor | Images,
    normalisation: str = "unit",
    dtype: torch.dtype = torch.float32,
    mirrored: bool = False,
    batch_size: int = 128,  # more would not stay in a processor's cache, and be slower
    what: str | None = None,
    ranks: Ranks | None = None,
) -> Tensor:
    """Embeddings (N, d) of images (N, C, H, W) uint8, on the CPU, with the backbone in evaluation mode.

    Images that are not in memory are read a batch at a time.

    `mirrored` adds the embedding of each image's mirror image, as the public evaluations do. `what` is said to be done, if it
    takes long. Of several `ranks` each embeds a part, and all have all of them.
    """
    device = next((p.device for p in backbone.parameters()), torch.device("cpu"))
    was_training = backbone.training
    backbone.eval()
    parts = []
    rank, world = (0, 1) if ranks is None else (ranks.rank, ranks.world)
    ends = [len(images) * number // world for number in range(world + 1)]
    first, end = ends[rank : rank + 2]
    with Meter(what or "", end - first) as meter:
        for start in range(first, max(end, first + 1), batch_size):  # of no images, embeddings have the same length
            batch = torch.from_numpy(
                np.array(images[start : min(start + batch_size, end)])
            )  # a copy: what a file gives is read-only
            x = normalise(batch.to(device), normalisation).to(dtype)  # type: ignore[arg-type]
            parts.append((backbone(x) + backbone(x.flip(3)) if mirrored else backbone(x)).cpu())
            if what is not None:
                meter.update(len(batch))
    backbone.train(was_training)
    if ranks is None or world == 1:
        return torch.cat(parts)
    sizes = [stop - start for start, stop in pairwise(ends)]
    return ranks.gather(torch.cat(parts), sizes)


def check_tests(data: ImageData | FaceData) -> None:
    """That every test can be made, which is found out after the training otherwise. Raises: ValueError naming the test."""
    if isinstance(data, ImageData):
        return
    for name, test in data.tests.items():
        shape = tuple(test.images[0:1].shape[1:])
        if shape != data.image_shape:
            there, here = (" × ".join(map(str, each)) for each in (shape, data.image_shape))
            raise ValueError(f"test {name!r}: its images are {there}, and those to train on {here}")
        if trouble := _trouble(test):
            raise ValueError(f"test {name!r}: {trouble}")


def _trouble(test: Test) -> str | None:
    """What keeps a test from being made; None where nothing does."""
    if isinstance(test, PairTest):
        for fold in np.unique(test.fold):
            if len(np.unique(test.same[test.fold != fold])) < 2:
                return f"beside fold {fold} it needs genuine and impostor pairs, from which the threshold of the fold comes"
    elif isinstance(test, TemplateTest):
        return None if len(np.unique(test.same)) == 2 else "it needs genuine and impostor pairs of templates"
    elif isinstance(test, IdentificationTest):
        mates = np.unique(test.people, return_counts=True)[1].max(initial=0) > 1
        return None if mates and len(test.distractors) else "it needs two images of a person, and distractors"
    elif isinstance(test, RefinementTest):
        return None if len(np.unique(test.wrong)) == 2 else "it needs right and wrong names"
    return None
