"""Every number that the abstracts and texts give for the tables, and what they conclude from them, against the tables."""

from marginface.book.audit.text import arcface, iam_pam, interface
from marginface.book.verdicts import Claim


def claims() -> dict[str, list[Claim]]:
    """All claims on printed tables, by paper."""
    return {
        "InterFace": interface.claims(),
        "ArcFace": arcface.claims(),
        "IAM": iam_pam.iam_claims(),
        "PAM": iam_pam.pam_claims(),
    }
