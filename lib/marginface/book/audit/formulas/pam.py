"""What PAM says of its equations, as claims that a computation decides. Words in “ ” are the paper's own."""

import math

import torch

from marginface import reference
from marginface.book.audit.formulas import equations
from marginface.book.audit.formulas.equations import CLASS_SIZE, TOLERANCE
from marginface.book.papers.pam import figure1
from marginface.book.verdicts import Claim


def claims() -> list[Claim]:
    """PAM Eq. 2 to 10."""
    return [*_on_earlier_losses(), *_on_phi(), *_on_pairs(), *_on_ranges(), *_on_eq10()]


def _on_earlier_losses() -> list[Claim]:
    return [
        Claim(
            "Eq. 2 and 3 have ψ(θ_j) for the other classes",
            "PAM Eq. 2–3",
            False,
            "cos θ_j in the losses that they repeat (ArcFace Eq. 4–5)",
            "misprint",
        ),
        Claim(
            "the ranges of θ and k are open: “θ_yi ∈ (kπ/m, (k+1)π/m), k ∈ (0, m−1)”",
            "PAM §2",
            False,
            "so k is never 0, and ψ not defined where the pieces meet; closed in ArcFace §2.3",
            "misprint",
        ),
    ]


def _on_phi() -> list[Claim]:
    step = 1e-9
    above, at = (float(reference.pam_phi(torch.tensor(value, dtype=torch.float64))) for value in (step, 0.0))
    apart = torch.linspace(1e-6, math.pi, 500, dtype=torch.float64)
    least, most = ((pick([float(reference.pam_phi(sign * angle)) for angle in apart])) for sign, pick in ((-1, min), (1, max)))
    return [
        Claim(
            "φ “ensures the continuity”",
            "PAM §3, Eq. 6–7",
            abs(above - at) < 1e-6,
            f"{above:.3f} just above θij = 0, {at:.3f} at 0",
        ),
        Claim(
            "φ “adds more penalty to the overlapping classes”",
            "PAM §3, Eq. 6–7",
            least >= most,
            f"at least {least:.2f} for θij below 0, at most {most:.2f} above",
        ),
    ]


def _on_pairs() -> list[Claim]:
    fewest, circle, classes = equations.adjacent_pairs()
    nearest, own = figure1.neighbours_found()
    return [
        Claim(
            "“the minimum number of pairs of the adjacent classes is P, which occurs when all the classes line up in a "
            "circle on the "
            "surface of the hypersphere”",
            "PAM §3",
            fewest >= classes == circle,
            f"of {classes} classes at random on a sphere at least {fewest} pairs are adjacent, of {classes} on a circle "
            f"{circle}. A "
            "class with one neighbour alone would end at one great circle, and with P of 3 or more there is another that "
            "cuts it: "
            "each has two or more, so there are P pairs or more",
        ),
        Claim(
            "“PAM loss v2 finds the nearest neighbour class of each class and penalises the margin between them” (read "
            "as: that is "
            "among its pairs)",
            "PAM §3, Eq. 7",
            nearest,
            f"S_i as printed has j = i in it, so that of the two largest {own:.0%} are a class with itself, a constant without "
            "gradient; the other half are the nearest neighbours",
        ),
    ]


def _on_ranges() -> list[Claim]:
    repeated = float(
        reference.pam_update(torch.tensor([0.9]), torch.tensor([0.2, 0.1, 0.3]), torch.zeros(3, dtype=torch.int64), 0.01)[0]
    )
    by_equation, by_text = equations.text_of_eq9(0.5, 0.9, 0.01)
    learned, real = equations.learned_range()
    return [
        Claim(
            "Eq. 8 as printed can leave the cosines, where a class occurs several times in a batch",
            "PAM Eq. 8",
            abs(repeated) > 1,
            f"from R = 0.9, three samples with cosines 0.2, 0.1 and 0.3 make it {repeated:.2f}: the changes add up",
            "observation",
        ),
        Claim(
            "case (b) of Eq. 9 is: “the class range shrinks by the product of β and their cosine similarity”",
            "PAM Eq. 9",
            abs(by_equation - by_text) < 1e-6,
            f"from R = 0.5 with a cosine of 0.9 and β = 0.01, Eq. 9 gives {by_equation:.3f}, the sentence {by_text:.3f}: "
            "the product of "
            "β and the difference is meant",
            "misprint",
        ),
        Claim(
            "the range that Eq. 8–9 learn is nearer than the farthest sample, which it is to stand for",
            "PAM §3, Eq. 8–9",
            learned > real,
            f"for {CLASS_SIZE} samples at 40° ± 8° to a weight that stays, R is {learned:.3f} on average, the farthest "
            f"sample's cosine {real:.3f}: angles of {math.degrees(math.acos(learned)):.1f}° and "
            f"{math.degrees(math.acos(real)):.1f}°",
            "observation",
        ),
    ]


def _on_eq10() -> list[Claim]:
    errors = {name: error for name, (error, _) in figure1.eq10_errors().items()}
    printed = [error for name, error in errors.items() if name.startswith("as printed")]
    return [
        Claim(
            "Eq. 10 is cos(θ − θi − θj), wherever its bracket is closed",
            "PAM Eq. 10",
            min(printed) < TOLERANCE,
            "largest error "
            + " or ".join(f"{e:.2f}" for e in printed)
            + f"; with sin θj for the last R(j) {errors['corrected']:.0e}",
            "misprint",
        ),
    ]
