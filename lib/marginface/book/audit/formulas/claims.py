"""What the four papers say of their equations, as claims that a computation decides. Words in “ ” are a paper's own."""

import math
from dataclasses import replace

import torch

from marginface import reference
from marginface.book.audit.formulas import equations, interface, pam
from marginface.book.audit.formulas.equations import TOLERANCE, M, S
from marginface.book.papers.arcface import curves
from marginface.book.papers.iam import gradients
from marginface.book.verdicts import Claim

IAM_SCALE, IAM_BETA = 4.0, 0.2  # as on the page of IAM's gradients


def claims() -> dict[str, list[Claim]]:
    """All of them, by paper."""
    return {"InterFace": interface.claims(), "ArcFace": arcface_claims(), "IAM": iam_claims(), "PAM": pam.claims()}


def arcface_claims() -> list[Claim]:
    """What ArcFace says of its target-logit curves, and of two of its formulas."""
    angle = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    expanded = torch.cos(angle) * math.cos(M) - torch.sin(angle) * math.sin(M)
    error = float((torch.cos(angle + M) - expanded).abs().max())
    x, w = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    unit = x / x.norm()  # x_i of Eq. 10
    cosine = torch.cos(reference.theta(x, w))
    own = [
        Claim(
            "cos(θ + m) = cos θ cos m − sin θ sin m",
            "ArcFace §2.6",
            error < TOLERANCE,
            f"largest difference {error:.0e}",
        ),
        Claim(
            "“Based on feature and weight normalisation, we can get W_j^T x_i = cos θ_j” (read as: with x_i of length 1, "
            "as in Eq. 10)",
            "ArcFace §2.4",
            bool((w @ unit - cosine).abs() < TOLERANCE),
            f"difference {float((w @ unit - cosine).abs()):.0e}; x_i stands for the re-scaled feature too, whose product is "
            f"{S:g} cos θ: Eq. 7–9 write s apart",
        ),
    ]
    return own + [_named("ArcFace", claim) for claim in curves.figure4_claims(curves.figure4())]


def iam_claims() -> list[Claim]:
    """IAM Eq. 9 to 14, for one sample and for a batch, and with a margin in the base loss."""
    claims = gradients.equation_claims(gradients.random_batch(), IAM_SCALE, IAM_BETA)
    return [_named("IAM", claim) for claim in claims] + _iam_with_a_margin() + _iam_of_one_sample() + _iam_on_notation()


def _iam_with_a_margin() -> list[Claim]:
    one, both = (equations.error_with_margin(IAM_SCALE, 0.4, IAM_BETA, which) for which in ("one p", "two p"))
    signs, grows = equations.trends_with_margin()
    return [
        Claim(
            "IAM on Eq. 5: “This will not change our analysis of the derivative of w̃_yi and w̃_j, although the "
            "denominators of p_i "
            "and p_ij1 are slightly different” (read as: signs and trends of §4.1 stay, with the p of Eq. 5 in the first "
            "term and "
            "that of Eq. 7 in the second)",
            "IAM §5.2",
            both < TOLERANCE and signs and grows,
            f"so read, Eq. 13 has a relative error of {both:.0e}; with the p of Eq. 5 in both terms {one:.2f}. Not only the "
            "denominator: the numerator of p_i has the margin, too",
        )
    ]


def _iam_of_one_sample() -> list[Claim]:
    batch = gradients.random_batch()
    pushes = gradients.pushes(batch, IAM_SCALE, 0)
    ratio = gradients.push_ratio_error(batch, IAM_SCALE, IAM_BETA)
    fall, end = gradients.at_the_end(IAM_SCALE)
    return [
        Claim(
            "“our IAM loss adaptively penalizes smaller inter-class angles more heavily” (read as: of one sample's other "
            "classes, "
            "the nearer is pushed more)",
            "IAM abstract, Eq. 11",
            pushes,
            "the push of Eq. 11 on class j is in proportion to e to s cos θ_ij",
        ),
        Claim(
            "the scaled softmax weighs a sample's other classes alike: IAM changes which samples count, and not which angles",
            "IAM Eq. 11 and 14, §3 (Remark 2)",
            ratio < TOLERANCE,
            "with IAM the push on every other class is the softmax's times 1 + β p/(1 − p), the same for all of them; "
            "relative error "
            f"{ratio:.0e}. §3 says so itself of one observation: it “yields the same solution”",
            "observation",
        ),
        Claim(
            "Eq. 12 has no lower bound: it falls without end as p goes to 1, and its gradient by w̃ of the own class "
            "tends to βs",
            "IAM Eq. 12, 13",
            fall < -100 and abs(end - 1) < 1e-6,
            f"log(1 − p) is {fall:.0f} for a sample on its class with s = {30 * IAM_SCALE:g}; the length of Eq. 13 over "
            f"βs is {end:.6f}",
            "observation",
        ),
    ]


def _iam_on_notation() -> list[Claim]:
    return [
        Claim(
            "Algorithm 1 takes 1/N times the sum of gradients that have 1/N and the sum in them (Eq. 9–11)",
            "IAM Algorithm 1",
            False,
            "one of the two is meant",
            "misprint",
        )
    ]


def _named(paper: str, claim: Claim) -> Claim:
    return replace(claim, source=f"{paper} {claim.source}")
