"""What IAM does to the gradient: a weight a sample, through the whole head, where the margin does not bend the target."""

import pytest
import torch

from marginface import reference
from marginface.book.papers.iam.gradients import random_batch
from marginface.book.papers.iam.reweighting import error_of_mixture, error_of_reweighting, factors, proofs
from marginface.margins import ArcFace, CosFace, L2Softmax, Margin, NormFace

BATCH = random_batch(samples=12, classes=6, dim=5, seed=3)


@pytest.mark.parametrize("beta", [0.05, 0.8, 1.0, 3.0])
@pytest.mark.parametrize("margin", [NormFace(12), CosFace(12, 0.3)], ids=lambda margin: type(margin).__name__)
def test_iam_is_a_weight_for_each_sample(margin: Margin, beta: float) -> None:
    assert error_of_reweighting(BATCH, margin, beta) < 1e-12


@pytest.mark.parametrize("margin", [ArcFace(12, 0.5), L2Softmax(9.0)], ids=lambda margin: type(margin).__name__)
def test_it_is_more_than_that_where_the_loss_does_not_have_the_cosine_itself(margin: Margin) -> None:
    """ArcFace bends what the own class pulls; the ℓ2 loss has the lengths of class weights, and IAM has not."""
    assert error_of_reweighting(BATCH, margin, 0.8) > 1e-3


def test_the_weight_is_that_of_eq_13() -> None:
    """1 + β p/(1 - p), with p as the paper writes it; of AM-Softmax the margin is in the denominator alone."""
    p = torch.stack([reference.iam_p(x, BATCH.W, int(y), 12) for x, y in zip(BATCH.x, BATCH.y, strict=True)])
    torch.testing.assert_close(factors(BATCH, NormFace(12), 0.7), 1 + 0.7 * p / (1 - p))
    lead = torch.logit(p)
    torch.testing.assert_close(factors(BATCH, CosFace(12, 0.3), 0.7), 1 + 0.7 * p / torch.sigmoid(12 * 0.3 - lead))


@pytest.mark.parametrize("beta", [0.1, 1.0, 2.0])
def test_iam_mixes_no_margin_with_an_endless_one(beta: float) -> None:
    assert error_of_mixture(BATCH, 12.0, beta) < 1e-8


def test_everything_that_is_said_to_be_proven_holds() -> None:
    assert [claim.holds for claim in proofs()] == [True] * 4
