"""What InterFace says of its equations, as claims that a computation decides. Words in “ ” are the paper's own."""

import math

import numpy as np

from marginface.book import published
from marginface.book.audit.formulas import equations
from marginface.book.audit.formulas.equations import BS, SPLITS, TOLERANCE, M, S
from marginface.book.audit.numbers.borda import DEMONSTRATED
from marginface.book.papers.arcface import curves
from marginface.book.papers.interface import figure1
from marginface.book.verdicts import Claim
from marginface.margins import ArcFace, CombinedMargin, CosFace, InterFace, NormFace, SphereFace

SEMI_HARD = 60.0  # degrees: almost all samples are nearer to their class at the end of training (ArcFace §2.8)


def claims() -> list[Claim]:
    """InterFace Eq. 1, Eq. 2 and its special cases, Eq. 4, and Eq. 5 to 8."""
    return [*_on_notation(), *_on_eq2(), *_on_eq4(), *_on_eq5_to_8(), *_on_sign(), *_on_unit(), *_on_classes()]


def _on_notation() -> list[Claim]:
    return [
        Claim(
            "Eq. 1 has + b outside the exponent, and N where the text calls the batch size n",
            "InterFace Eq. 1",
            False,
            "softmax is e to xWᵀ + b, as the text under it has it (“W_1^T x_i + b1”)",
            "misprint",
        ),
        Claim(
            "Eq. 4 closes a bracket of its numerator after the exponent that it was opened in",
            "InterFace Eq. 4",
            False,
            "s(cos(θ_yi + m1) without the last bracket inside; in the denominator the same term is right (or lost in "
            "extraction)",
            "misprint",
        ),
        Claim(
            "“According to equation (6), we can transform the Arcface decision boundary”",
            "InterFace §II c",
            False,
            "Eq. 6 is the threshold t and comes later; Eq. 3, m = m1 + m2, is meant",
            "misprint",
        ),
        Claim(
            "Eq. 8 has an m whose value the text does not give",
            "InterFace Eq. 8",
            "m" not in published.table("interface", 2),
            "0.5 in Table I, whose caption says so, and in the authors' code",
            "observation",
        ),
    ]


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
            f"with m2 = 1 T differs from cos θ by up to {away:.2f}; with m2 = 0, which is meant, by "
            f"{equations.special_case_error(none, NormFace(S)):.0e}",
            "misprint",
        ),
        Claim(
            "m1 = α, m2 = m3 = 0 is SphereFace (read as: for θ up to π/m1, as the short form is meant)",
            "InterFace §II b, Eq. 2",
            sphere < TOLERANCE,
            f"with α = 4 up to {180 / 4:g}° the largest difference is {sphere:.0e}; beyond, SphereFace continues with ψ, "
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
            "misprint",
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
            "Eq. 4 and ArcFace are two losses with one boundary between two classes",
            "InterFace Eq. 4",
            far == 0 and min(loss, gradient) > TOLERANCE,
            f"on random embeddings the loss differs by up to {loss:.1%} and the gradient by up to {gradient:.1%}. That "
            f"“{DEMONSTRATED}” "
            "(§I) is said of an experiment, and is judged with its Borda counts",
            "observation",
        ),
    ]


def _on_eq5_to_8() -> list[Claim]:
    table = equations.gamma_table()
    by_letter = table[table.iloc[:, 0].str.startswith("as printed")].iloc[:, 1:]
    usable = int((by_letter != "not defined").to_numpy().sum())
    curve = np.exp(-np.linspace(0, 4, 401))
    return [
        Claim(
            "Eq. 5 as printed is d_s / d_inter, the ratio of two angles",
            "InterFace Eq. 5",
            bool((by_letter == table.iloc[-1, 1:]).all(axis=1).any()),
            f"defined for {usable} of {by_letter.size} samples tried, and the same at every angle where it is: it takes the "
            "arccos of ‖z‖‖W‖, where the scalar product of the directions is meant",
            "misprint",
        ),
        Claim(
            "“The margin values are generated by SIR through a convex function”",
            "InterFace §II, Eq. 7",
            bool(np.all(np.diff(curve, 2) > 0)),
            f"e^−γ has second differences of at least {np.diff(curve, 2).min():.0e} for γ from 0 to 4, so f is convex in γ",
        ),
    ]


def _on_sign() -> list[Claim]:
    """f > 0 makes the loss stricter: a penalty. One claim for each parameter set, and for each unit of b."""
    sentence = (
        "“adding corresponding margin penalties between the depth features and all weights” (read as: f as printed is positive"
    )
    found = []
    for name, margin in figure1.SETS.items():
        turn = equations.turning_angle(margin)
        where = f"positive below {turn:.1f}°; above, it relaxes the loss" if turn < 180 else "positive at every angle"
        f = ", ".join(f"{np.radians(v):+.3f}" for v in figure1.shift_degrees(margin, np.array([10.0, 40.0, 60.0, 90.0])))
        as_code = name.endswith("°")
        extra = ". The authors' code has the opposite sign" + (", and b in degrees, which the paper does not say" * as_code)
        found.append(
            Claim(
                f"{sentence} for θ up to {SEMI_HARD:g}°), with {name}",
                "InterFace abstract, Eq. 7–8",
                turn >= SEMI_HARD,
                f"{where} (class weights 90° apart; f at 10°, 40°, 60° and 90°: {f} rad){extra}",
                "observation" if as_code else "claim",
            )
        )
    return found


def _on_unit() -> list[Claim]:
    degrees, radians = equations.b_effect("degrees"), equations.b_effect("radians")
    return [
        Claim(
            "with b in degrees, as in the authors' code, the six b of Table V are six losses; in radians, as d_inter = π/2 is "
            "printed, they are nearly one",
            "InterFace Eq. 6, Table V",
            radians < 0.01 < degrees,  # of α
            f"f differs between b = {BS[0]} and {BS[-1]} by up to {degrees:.0%} of α in degrees, by at most "
            f"{radians:.2%} in radians "
            "(weights 90° apart)",
            "observation",
        )
    ]


def _on_classes() -> list[Claim]:
    """Whether one sample gets another f for another class: on random class weights, at one angle to its own."""
    spread = {name: equations.spread_over_classes(margin) for name, margin in figure1.SETS.items()}
    constant = spread.pop("cid&ct")
    f = float(np.radians(figure1.shift_degrees(InterFace.cid_ct(), np.array([40.0]))[0]))
    return [
        Claim(
            "“adding different penalty margins to different class centers for a single sample”, with cid&ct",
            "InterFace §I",
            constant > TOLERANCE,
            f"d_inter is a constant, so γ, t and f are the same for all other classes: at θ = 40° f is {f:+.4f} rad for each. "
            "Figure 1's boundaries differ between pairs of classes because θ differs on each of them",
        ),
        Claim(
            "“adding different penalty margins to different class centers for a single sample”, with did&ct and did&dt",
            "InterFace §I",
            min(spread.values()) > TOLERANCE,
            "at θ = 40° and for random class weights f spans "
            + ", ".join(f"{by:.1e} rad ({name})" for name, by in spread.items()),
        ),
    ]
