"""IAM's printed gradients: against central differences, and claims that can turn out either way."""

import numpy as np
import pytest
import torch

from marginface import reference
from marginface.book.papers.iam import gradients
from marginface.book.papers.iam.gradients import Batch, beta_claims, equations, random_batch

S, BETA = 4.0, 0.3


def holds(claims: list, start: str) -> bool:
    (claim,) = [claim for claim in claims if claim.text.startswith(start)]
    return claim.holds


def test_the_losses_are_the_literal_ones() -> None:
    batch = random_batch()
    x, W, y = batch.x, batch.W, batch.y
    torch.testing.assert_close(gradients.losses(x, W, y, S, 0, 1).mean(), reference.iam(x, W, y, S))
    torch.testing.assert_close(gradients.losses(x, W, y, S, 1, 0).mean(), reference.normface(x, W, y, S))
    torch.testing.assert_close(gradients.losses(x, W, y, S, 1, BETA).mean(), reference.iam_eq12(x, W, y, S, BETA))


@pytest.mark.parametrize("name", ["Eq. 9", "Eq. 10", "Eq. 11", "Eq. 13", "Eq. 14"])
def test_an_equation_holds_for_one_sample_and_not_for_a_batch_as_printed(name: str) -> None:
    batch, equation = random_batch(), equations(S, BETA)[name]
    assert gradients.error_of_one_sample(equation, batch, S) < 1e-12
    assert gradients.error_as_meant(equation, batch, S) < 1e-12
    assert gradients.error_as_printed(equation, batch, S) > 0.1
    raw, projected = gradients.errors_when_normalised(equation, batch, S)
    assert raw > 0.1
    assert projected < 1e-12


@pytest.mark.parametrize("name", ["Eq. 10", "Eq. 13"])
def test_a_batch_of_one_class_is_summed_right_as_printed(name: str) -> None:
    batch = random_batch()
    one_class = Batch(batch.x, batch.W, torch.zeros_like(batch.y), 0)
    assert gradients.error_as_printed(equations(S, BETA)[name], one_class, S) < 1e-12


def test_eq_13_and_14_against_central_differences() -> None:
    """An independent witness: no automatic differentiation."""
    batch, h = random_batch(), 1e-6
    x, y = batch.x[:1], batch.y[:1]
    for j, printed in (
        (0, reference.iam_eq13(x[0], batch.W, 0, S, BETA)),
        (2, reference.iam_eq14(x[0], batch.W, 0, 2, S, BETA)),
    ):
        for k in range(batch.W.shape[1]):
            step = torch.zeros_like(batch.W)
            step[j, k] = h
            up, down = (gradients.losses(x, batch.W + sign * step, y, S, 1, BETA).sum() for sign in (1, -1))
            assert float((up - down) / (2 * h)) == pytest.approx(float(printed[k]), abs=1e-7)


def test_lengths_are_those_of_the_equations() -> None:
    batch = random_batch()
    angles = torch.rad2deg(torch.arccos(batch.W @ batch.x[0])).numpy()
    two = batch.W[:2]
    p, p1, p2 = gradients.probabilities(angles[:1], angles[1:2], S, 2)
    own, other = reference.iam_eq13(batch.x[0], two, 0, S, BETA), reference.iam_eq14(batch.x[0], two, 0, 1, S, BETA)
    np.testing.assert_allclose(S * gradients.size13(p, BETA), [float(own.norm())])
    np.testing.assert_allclose(S * gradients.size14(p1, p2, BETA), [float(other.norm())])


def test_all_classes_share_the_probability() -> None:
    p, p1, _ = gradients.probabilities(np.array(90.0), np.array(90.0), S, 10)
    assert (p, p1) == (pytest.approx(0.1), pytest.approx(0.1))


def test_claims_on_beta() -> None:
    claims = beta_claims()
    assert [claim.text for claim in claims if not claim.holds] == ["β > 1: Eq. 14 falls as the inter-class angle falls"]
    assert holds(beta_claims(classes=[2]), "β > 1: Eq. 14")


def test_claims_turn_with_beta_and_with_normalisation() -> None:
    assert not holds(beta_claims(above=0.5), "β > 1: Eq. 13")
    assert not holds(beta_claims(below=[0.0]), "β < 1: Eq. 13")
    trained = beta_claims(normalised=True)
    assert not holds(trained, "β = 0: Eq. 13")
    assert not holds(trained, "β = 1: Eq. 13")


def test_iam_scales_the_softmax_gradient() -> None:
    assert gradients.common_factor_error(random_batch(), S, BETA) < 1e-12


def test_all_other_classes_are_pushed_alike() -> None:
    """Eq. 14 is the softmax's push times one factor, so that the ratio of two pushes is that of the exponentials."""
    batch = random_batch()
    assert gradients.push_ratio_error(batch, S, BETA) < 1e-12
    assert gradients.pushes(batch, S, 0)
    x, W, own = batch.x[0], batch.W, int(batch.y[0])
    one, two = (j for j in range(3) if j != own)
    sizes = [reference.iam_eq14(x, W, own, j, S, BETA).norm() for j in (one, two)]
    assert float(sizes[0] / sizes[1]) == pytest.approx(float(torch.exp(S * (W[one] - W[two]) @ x)))


def test_iam_has_no_lower_bound() -> None:
    falls, ends = zip(*(gradients.at_the_end(s) for s in (1.0, 2.0, 4.0)), strict=True)
    assert falls[0] > falls[1] > falls[2]
    assert ends[-1] == pytest.approx(1)


def test_only_at_beta_1_do_samples_pull_towards_their_mean() -> None:
    near = gradients.class_around_its_weight()
    angles = [gradients.pull_to_centre(near, 30.0, beta) for beta in (0.0, 0.5, 1.0, 2.0)]
    assert angles[2] < 1e-4
    assert min(angles[0], angles[1], angles[3]) > 0.01
