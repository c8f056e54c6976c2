"""Every number that the abstracts and texts give for the tables, and what they conclude from them, against the tables."""

from marginface.book.audit.text import arcface, arcface_words, iam, interface, interface_words, pam
from marginface.book.verdicts import Claim


def claims() -> dict[str, list[Claim]]:
    """All claims on printed tables, by paper."""
    return {
        "InterFace": interface.claims() + interface_words.claims(),
        "ArcFace": arcface.claims() + arcface_words.claims(),
        "IAM": iam.claims(),
        "PAM": pam.claims(),
    }
