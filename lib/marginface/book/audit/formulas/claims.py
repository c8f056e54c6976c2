"""What the four papers say of their equations, as claims that a computation decides. Words in “ ” are a paper's own."""

import math

import numpy as np
import torch

from marginface import reference
from marginface.book.audit.formulas import equations
from marginface.book.audit.formulas.equations import BS, CLASS_SIZE, SPLITS, M, S, arcface_angles
from marginface.book.papers.arcface import curves
from marginface.book.papers.iam import gradients
from marginface.book.papers.interface import figure1 as interface
from marginface.book.papers.pam import figure1 as pam
from marginface.book.verdicts import Claim
from marginface.margins import ArcFace, CombinedMargin, CosFace, NormFace, SphereFace

TOLERANCE = 1e-10
IAM_SCALE, IAM_BETA = 4.0, 0.2  # as on the page of IAM's gradients


def interface_claims() -> list[Claim]:
    """InterFace Eq. 2 and its special cases, Eq. 4, and Eq. 5 to 8."""
    return _on_eq2() + _on_eq4() + _on_eq5_to_8()


def _on_eq2() -> list[Claim]:
    none, printed = CombinedMargin(S), CombinedMargin(S, 1, 1, 0)
    sphere = equations.special_case_error(CombinedMargin(S, 4), SphereFace(4, scale=S), 180 / 4)
    further = equations.special_case_error(CombinedMargin(S, 4), SphereFace(4, scale=S))
    cos = equations.special_case_error(CombinedMargin(S, 1, 0, 0.35), CosFace(S, 0.35))
    arc = equations.special_case_error(CombinedMargin(S, 1, M, 0), ArcFace(S, M))
    away = equations.special_case_error(printed, NormFace(S))
    bound = 1 - math.cos(math.pi / 4)
    edge = curves.boundary_angle(CombinedMargin(S, 2), np.array([60.0]))[0]
    return [
        Claim(
            "“When m1 = 1, m2 = 1, m3 = 0, this is the operation loss without adding any margin angle optimization”",
            "InterFace §II b, Eq. 2",
            away < TOLERANCE,
            f"with m2 = 1 T differs from cos θ by up to {away:.2f}; with m2 = 0 by "
            f"{equations.special_case_error(none, NormFace(S)):.0e}: a misprint for m2 = 0",
        ),
        Claim(
            "m1 = α, m2 = m3 = 0 is SphereFace (read as: at every θ)",
            "InterFace §II b, Eq. 2",
            further < TOLERANCE,
            f"with α = 4 it is for θ up to π/α (largest difference {sphere:.0e}); beyond, SphereFace continues with ψ, "
            f"and T differs by up to {further:.0f}",
        ),
        Claim("m1 = 1, m2 = 0, m3 = α is CosFace", "InterFace §II b, Eq. 2", cos < TOLERANCE, f"largest difference {cos:.0e}"),
        Claim("m1 = 1, m2 = α, m3 = 0 is ArcFace", "InterFace §II b, Eq. 2", arc < TOLERANCE, f"largest difference {arc:.0e}"),
        Claim(
            "“The decision boundary of SphereFace is than cos(θ_yi) − cos(θ_j) = 0”",
            "InterFace §II b",
            abs(edge - 60) < 0.01,
            f"with m1 = 2 and θ_j = 60° the boundary of Eq. 2 is at θ_yi = {edge:.1f}°: m1 is missing, or was lost "
            "in extraction",
        ),
        Claim(
            "CosFace's margin is between 0 and 1 − cos(π/4) (read as: so are 0.35 of ArcFace, 0.4 of IAM and 0.3 of PAM)",
            "InterFace §II b",
            max(0.35, 0.4, 0.3) < bound,
            f"1 − cos(π/4) is {bound:.3f}; π/4 is the angle between {2 * math.pi / (math.pi / 4):.0f} weights spread over a "
            "circle in the plane, and no bound in 512 dimensions",
        ),
    ]


def _on_eq4() -> list[Claim]:
    far = max(equations.side_changes(m1, m2, apart=m1 + m2) for m1, m2 in SPLITS)
    near = max(equations.side_changes(*split) for split in SPLITS)
    differences = [equations.split_difference(*split) for split in SPLITS]
    loss, gradient = (max(pair[k] for pair in differences) for k in (0, 1))
    return [
        Claim(
            "“we can transform the Arcface decision boundary into cos(θ_yi + m1) − cos(θ_j − m2) = 0” "
            "(read as: for every split of Table I and classes at least m apart)",
            "InterFace Eq. 3–4",
            far == 0,
            f"{far:.0%} of the pairs of angles change their side; of classes nearer than m some do where m2 > m1 "
            f"({near:.2%} of all pairs)",
        ),
        Claim(
            "“ArcFace and redefine ArcFace losses are equivalent” (read as: the same loss and gradient for every split)",
            "InterFace Eq. 4",
            max(loss, gradient) < TOLERANCE,
            f"on random embeddings the loss differs by up to {loss:.1%} and the gradient by up to {gradient:.1%}; "
            "two classes have the same boundary, but not the same loss",
        ),
    ]


def _on_eq5_to_8() -> list[Claim]:
    table = equations.gamma_table()
    by_letter = table[table.iloc[:, 0].str.startswith("as printed")].iloc[:, 1:]
    usable = int((by_letter != "not defined").to_numpy().sum())
    turns = {name: equations.turning_angle(margin) for name, margin in interface.SETS.items()}
    curve = np.exp(-np.linspace(0, 4, 401))
    degrees, radians = equations.b_effect("degrees"), equations.b_effect("radians")
    return [
        Claim(
            "Eq. 5 as printed is d_s / d_inter, the ratio of two angles",
            "InterFace Eq. 5",
            bool((by_letter == table.iloc[-1, 1:]).all(axis=1).any()),
            f"defined for {usable} of {by_letter.size} samples tried, and the same at every angle where it is: it takes the "
            "arccos of ‖z‖‖W‖, where the scalar product of the directions is meant",
        ),
        Claim(
            "“The margin values are generated by SIR through a convex function”",
            "InterFace §II, Eq. 7",
            bool(np.all(np.diff(curve, 2) > 0)),
            f"e^−γ has second differences of at least {np.diff(curve, 2).min():.0e} for γ from 0 to 4, so f is convex in γ",
        ),
        Claim(
            "f is one of the “margin penalties between the depth features and all weights” (read as: f as printed is "
            "positive for θ up to 60°, where ArcFace §2.8 finds almost all samples at the end of training)",
            "InterFace abstract, Eq. 7–8",
            min(turns.values()) >= 60,
            "positive only "
            + ", ".join(f"below {turn:.1f}° with {name}" for name, turn in turns.items())
            + " (class weights 90° apart); above, it relaxes the loss. The authors' code has the opposite sign",
        ),
        Claim(
            "the six b of Table V are six losses, with b in radians as all other angles (read as: f changes by 1% of α)",
            "InterFace Eq. 6, Table V",
            radians > 0.01,  # of α
            f"f differs by at most {radians:.2%} of α between b = {BS[0]} and {BS[-1]}, for weights 90° apart: six trainings "
            "of nearly one loss",
        ),
        Claim(
            "the same with b in degrees, as in the authors' code",
            "InterFace Eq. 6, Table V",
            degrees > 0.01,
            f"f differs by up to {degrees:.0%} of α",
        ),
    ]


def arcface_claims() -> list[Claim]:
    """What ArcFace says of its target-logit curves, with the exact angles, and two of its formulas."""
    turn = arcface_angles()[0]
    angle = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    expanded = torch.cos(angle) * math.cos(M) - torch.sin(angle) * math.sin(M)
    error = float((torch.cos(angle + M) - expanded).abs().max())
    x, w = torch.tensor([0.6, 0.8], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    ratio = float(w @ (S * x) / torch.cos(reference.theta(x, w)))
    own = [
        Claim(
            "cos(θ + m) = cos θ cos m − sin θ sin m",
            "ArcFace §2.6",
            error < TOLERANCE,
            f"largest difference {error:.0e}",
        ),
        Claim(
            "after ‖x‖ is re-scaled to s, “we can get W_j^T x_i = cos θ_j”",
            "ArcFace §2.4",
            abs(ratio - 1) < TOLERANCE,
            f"Wᵀx / cos θ is {ratio:.0f}: s is missing here; Eq. 7–9 have it",
        ),
        Claim(
            "the angle where ArcFace's curve turns is 151.35°",
            "ArcFace §2.8",
            f"{turn:.2f}" == "151.35",
            f"180° − 0.5 rad = {turn:.4f}°",
        ),
    ]
    return own + [_named("ArcFace", claim) for claim in curves.figure4_claims(curves.figure4())]


def iam_claims() -> list[Claim]:
    """IAM Eq. 9 to 14, for one sample and for a batch, and with a margin in the base loss."""
    claims = gradients.equation_claims(gradients.random_batch(), IAM_SCALE, IAM_BETA)
    printed, shared = (equations.error_with_margin(IAM_SCALE, 0.4, IAM_BETA, on) for on in ("cosines", "logits"))
    on_eq5 = Claim(
        "IAM on Eq. 5: “This will not change our analysis of the derivative” (read as: Eq. 13 holds with the p of Eq. 5, for "
        "one sample)",
        "IAM §5.2",
        printed < TOLERANCE,
        f"relative error {printed:.2f} with IAM as in Eq. 7, whose p has no margin; {shared:.0e} where IAM has the margin, too",
    )
    return [_named("IAM", claim) for claim in claims] + [on_eq5]


def pam_claims() -> list[Claim]:
    """PAM Eq. 6 to 10."""
    errors = {name: error for name, (error, _) in pam.eq10_errors().items()}
    printed = [error for name, error in errors.items() if name.startswith("as printed")]
    repeated = float(
        reference.pam_update(torch.tensor([0.9]), torch.tensor([0.2, 0.1, 0.3]), torch.zeros(3, dtype=torch.int64), 0.01)[0]
    )
    step = 1e-9
    above, at = (float(reference.pam_phi(torch.tensor(value, dtype=torch.float64))) for value in (step, 0.0))
    apart = torch.linspace(1e-6, math.pi, 500, dtype=torch.float64)
    least, most = ((pick([float(reference.pam_phi(sign * angle)) for angle in apart])) for sign, pick in ((-1, min), (1, max)))
    own = str(pam.include_self_table().iloc[1, 1])
    by_equation, by_text = equations.text_of_eq9(0.5, 0.9, 0.01)
    learned, real = equations.learned_range()
    return [
        Claim("φ is continuous", "PAM §3, Eq. 6–7", abs(above - at) < 1e-6, f"{above:.3f} just above θij = 0, {at:.3f} at 0"),
        Claim(
            "φ “adds more penalty to the overlapping classes”",
            "PAM §3, Eq. 6–7",
            least >= most,
            f"at least {least:.2f} for θij below 0, at most {most:.2f} above",
        ),
        Claim(
            "Eq. 7 “finds the nearest neighbour class of each class and penalises the margin between them”",
            "PAM §3, Eq. 7",
            own == "0%",
            f"S_i as printed has j = i in it, and for 50 random classes {own} of its pairs are of a class with itself",
        ),
        Claim(
            "Eq. 8 keeps R(j) a cosine when a class occurs several times in a batch",
            "PAM Eq. 8",
            abs(repeated) <= 1,
            f"from R = 0.9, three samples with cosines 0.2, 0.1 and 0.3 make it {repeated:.2f}: the changes add up",
        ),
        Claim(
            "case (b) of Eq. 9 is: “the class range shrinks by the product of β and their cosine similarity”",
            "PAM Eq. 9",
            abs(by_equation - by_text) < 1e-6,
            f"from R = 0.5 with a cosine of 0.9 and β = 0.01, Eq. 9 gives {by_equation:.3f}, the sentence {by_text:.3f}",
        ),
        Claim(
            "Eq. 8–9 learn “the cosine similarity between the class centre and the farthest sample of the class” "
            "(read as: to 0.01)",
            "PAM §3, Eq. 8–9",
            abs(learned - real) < 0.01,
            f"for {CLASS_SIZE} samples at 40° ± 8° to a weight that stays, R is {learned:.3f} on average, the farthest "
            f"sample's cosine {real:.3f}: angles of {math.degrees(math.acos(learned)):.1f}° and "
            f"{math.degrees(math.acos(real)):.1f}°",
        ),
        Claim(
            "Eq. 10 is cos(θ − θi − θj), wherever its bracket is closed",
            "PAM Eq. 10",
            min(printed) < TOLERANCE,
            "largest error "
            + " or ".join(f"{e:.2f}" for e in printed)
            + f"; with sin θj for the last R(j) {errors['corrected']:.0e}",
        ),
    ]


def claims() -> dict[str, list[Claim]]:
    """All of them, by paper."""
    return {"InterFace": interface_claims(), "ArcFace": arcface_claims(), "IAM": iam_claims(), "PAM": pam_claims()}


def _named(paper: str, claim: Claim) -> Claim:
    return Claim(claim.text, f"{paper} {claim.source}", claim.holds, claim.evidence)
