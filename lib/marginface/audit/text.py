"""Every number that the abstracts and texts give for the tables, and what they conclude from them, against the tables."""

from marginface.audit import text_arcface, text_iam_pam, text_interface
from marginface.verdicts import Claim


def claims() -> dict[str, list[Claim]]:
    """All claims on printed tables, by paper."""
    return {
        "InterFace": text_interface.claims(),
        "ArcFace": text_arcface.claims(),
        "IAM": text_iam_pam.iam_claims(),
        "PAM": text_iam_pam.pam_claims(),
    }
