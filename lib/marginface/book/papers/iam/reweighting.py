"""What IAM does to a loss, as far as it can be proven: weights for samples, and nothing that chooses among classes."""

import torch
from torch import Tensor

from marginface.book.papers.iam.gradients import TOLERANCE, Batch, random_batch
from marginface.book.verdicts import Claim
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CosFace, Margin, NormFace
from marginface.regularizers import IAM

ENDLESS = 2.0  # a cosine margin that no sample of a random batch comes near, at the scale of faces


def head_of(batch: Batch, margin: Margin, beta: float = 0.0) -> MarginHead:
    """A head with the batch's class weights, whose loss is the sum over samples."""
    classes, dim = batch.W.shape
    terms = [IAM(beta)] if beta else []
    head = MarginHead(dim, classes, margin, terms, chunk_size=None, reduction="sum").double()
    head.weight.data = batch.W.clone()
    return head


def gradients(head: MarginHead, batch: Batch, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Of the summed loss, with respect to the embeddings (N, d) and the class weights (C, d), normalised inside."""
    x = batch.x.clone().requires_grad_()
    of_x, of_w = torch.autograd.grad(head(x, batch.y, weights), (x, head.weight))
    return of_x, of_w


def factors(batch: Batch, margin: Margin, beta: float) -> Tensor:
    """1 + β p / (1 - q), (N,): p of the plain cosines, as Eq. 7 has them, and q of the loss's own logits, margin included."""
    head, rows = head_of(batch, margin), torch.arange(len(batch.y))
    scale = margin.scale
    assert scale is not None
    plain = scale * torch.nn.functional.normalize(batch.x) @ torch.nn.functional.normalize(batch.W).T
    p = plain.softmax(dim=1)[rows, batch.y]
    others = torch.nn.functional.one_hot(batch.y, len(batch.W)).logical_not()
    q_others = head.logits(batch.x, batch.y).detach().softmax(dim=1)[others].view(len(batch.y), -1).sum(dim=1)
    return 1 + beta * p / q_others


def error_of_reweighting(batch: Batch, margin: Margin, beta: float) -> float:
    """How far the gradients with IAM are from those of the loss alone, each sample times its factor. Relative."""
    with_iam = gradients(head_of(batch, margin, beta), batch)
    weighted = gradients(head_of(batch, margin), batch, factors(batch, margin, beta))
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(with_iam, weighted, strict=True))


def error_of_mixture(batch: Batch, scale: float, beta: float) -> float:
    """How far the scaled softmax with IAM is from (1 - β) of it and β of a loss with an endless margin, less what is constant.

    With m so large that no sample comes near it, log(1 + exp(s m - g)) is s m - g, where g is the logit's lead.
    """
    plain, endless = (head_of(batch, margin) for margin in (NormFace(scale), CosFace(scale, ENDLESS)))
    constant = len(batch.y) * beta * (scale * ENDLESS + torch.tensor(len(batch.W) - 1.0, dtype=torch.float64).log())
    mixed = (1 - beta) * plain(batch.x, batch.y) + beta * endless(batch.x, batch.y) - constant
    found = head_of(batch, NormFace(scale), beta)(batch.x, batch.y)
    return float(((mixed - found).abs() / found.abs()).detach())


def proofs(beta: float = 0.8, scale: float = 30.0, m: float = 0.4) -> list[Claim]:
    """What can be said of IAM without training, on random features and class weights."""
    batch = random_batch(samples=16, classes=7, dim=5)
    softmax = error_of_reweighting(batch, NormFace(scale), beta)
    am = error_of_reweighting(batch, CosFace(scale, m), beta)
    arcface = error_of_reweighting(batch, ArcFace(scale, m), beta)
    mixture = max(error_of_mixture(batch, scale, each) for each in (beta, 1.0, 2.0))
    step = max(_step_apart(batch, margin, beta) for margin in (NormFace(scale), CosFace(scale, m)))
    return [
        Claim(
            "IAM on the scaled softmax is a weight for each sample, 1 + β p/(1 − p), and on AM-Softmax likewise: the same "
            "gradient for features and for all class weights",
            "Eq. 8",
            max(softmax, am) < TOLERANCE,
            f"relative errors {softmax:.0e} and {am:.0e}",
            "observation",
        ),
        Claim(
            "so a control that has this reweighting alone makes the same step as IAM: it is the same training",
            "Eq. 8",
            step < TOLERANCE,
            f"weights after a step of the optimizer apart by {step:.0e}",
            "observation",
        ),
        Claim(
            "on ArcFace it is more than a weight, because the margin bends what the own class pulls",
            "Eq. 8",
            arcface > 1e-3,
            f"the gradients are {arcface:.1%} apart",
            "observation",
        ),
        Claim(
            "the scaled softmax with IAM is (1 − β) of the scaled softmax and β of AM-Softmax with an endless margin: β = 1 "
            "leaves nothing of the softmax, and more takes it away",
            "Eq. 12",
            mixture < TOLERANCE,
            f"relative error {mixture:.0e}, at β = {beta:g}, 1 and 2",
            "observation",
        ),
    ]


def _step_apart(batch: Batch, margin: Margin, beta: float, rate: float = 0.1) -> float:
    """How far class weights are apart after a step with IAM and one with its reweighting alone. Relative to their change."""
    moved = []
    for head, weights in (
        (head_of(batch, margin, beta), None),
        (head_of(batch, margin), factors(batch, margin, beta)),
    ):
        optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
        head(batch.x, batch.y, weights).backward()
        optimizer.step()
        moved.append(head.weight.detach() - batch.W)
    return float((moved[0] - moved[1]).abs().max() / moved[1].abs().max())
