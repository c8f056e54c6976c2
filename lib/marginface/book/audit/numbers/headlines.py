"""What the four papers conclude from their tables of verification: a sentence each, and whom it sets above whom."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """A sentence that sets the best of some rows of a table above the best of others.

    `label` is the column that names the rows. Without `benchmarks`, it is about all test sets of the table.
    """

    paper: str
    table: int
    quote: str
    source: str
    better: tuple[int, ...]
    worse: tuple[int, ...]
    label: str
    benchmarks: tuple[str, ...] = ()


IAM_ADDS = "our IAM loss … also can further improve the accuracies of the state-of-the-art methods"
PAM_LFW = "On LFW, both versions of PAM loss outperform the related methods: Softmax, L-Softmax, A-Softmax and AM-Softmax"
# without the numbers of the references that stand between
BEST = "we achieved the best results in AgeDB-30, CALFW, CPLFW, IJBB(Tar@Far=1e-5) and IJBC(Tar@Far=1e-5)"
OPTION_E = "The option E (BN-Dropout-FC-BN) obtains the best performance"
TRIPLET = "can be kept and further improved by Triplet loss fine-tuning"
OBVIOUS = "Compared to Softmax, SphereFace, CosineFace and ArcFace improve the performance obviously"

HEADLINES = (
    Headline("ArcFace", 2, "choosing larger feature maps during training obtains higher verification accuracy", "§3.2",
             (2,), (1,), "backbone"),
    Headline("ArcFace", 2, "choosing larger feature maps during training obtains higher verification accuracy", "§3.2",
             (4,), (3,), "backbone"),
    Headline("ArcFace", 3, OPTION_E, "§3.2", (5,), (1, 2, 3, 4), "backbone"),
    Headline("ArcFace", 3, OPTION_E, "§3.2", (8,), (6, 7), "backbone"),
    Headline("ArcFace", 4, "can obviously improve the verification performance", "§3.2", (2,), (1,), "backbone"),
    Headline("ArcFace", 5, "the verification accuracy reaches the highest point", "§3.2", (3,), (1, 2, 4), "weight_decay"),
    Headline("ArcFace", 6, "gets saturated at m = 0.5", "§3.3", (4,), (1, 2, 3, 5, 6, 7), "m"),
    Headline("ArcFace", 7, OBVIOUS, "§3.3", (2,), (1,), "method"),
    Headline("ArcFace", 7, OBVIOUS, "§3.3", (3,), (1,), "method"),
    Headline("ArcFace", 7, OBVIOUS, "§3.3", (5,), (1,), "method"),
    Headline("ArcFace", 7, "CosineFace and ArcFace obviously outperform SphereFace", "§3.3", (3,), (2,), "method"),
    Headline("ArcFace", 7, "CosineFace and ArcFace obviously outperform SphereFace", "§3.3", (5,), (2,), "method"),
    Headline("ArcFace", 7, "ArcFace is slightly better than CosineFace", "§3.3", (5,), (3,), "method"),
    Headline("ArcFace", 11, "can be obviously improved by Triplet loss fine-tuning", "§3.5", (2,), (1,), "dataset_loss"),
    Headline("ArcFace", 11, "The Softmax model can be further improved", "§3.5", (4,), (3,), "dataset_loss"),
    Headline("ArcFace", 11, TRIPLET, "§3.5", (6,), (5,), "dataset_loss"),
    Headline("ArcFace", 11, TRIPLET, "§3.5", (8,), (7,), "dataset_loss"),
    Headline("ArcFace", 11, TRIPLET, "§3.5", (10,), (9,), "dataset_loss"),
    Headline("IAM", 5, "our IAM loss improves the scaled Softmax loss greatly", "§5.2", (2, 3), (1,), "method"),
    Headline("IAM", 5, "which is even better than the work of [9, 11]", "§5.2", (2,), (19,), "method", ("LFW",)),
    Headline("IAM", 5, IAM_ADDS, "§5.2", (5, 6), (4,), "method"),
    Headline("IAM", 5, IAM_ADDS, "§5.2", (8, 9), (7,), "method"),
    Headline("IAM", 5, IAM_ADDS, "§5.2", (11, 12), (10,), "method"),
    Headline("IAM", 5, IAM_ADDS, "§5.2", (14, 15), (13,), "method"),
    Headline("IAM", 5, IAM_ADDS, "§5.2", (17, 18), (16,), "method"),
    Headline("IAM", 5, IAM_ADDS, "§5.2", (20, 21, 22, 23), (19,), "method"),
    Headline("InterFace", 6, BEST, "§IV", (15, 16, 17), tuple(range(1, 15)), "method", ("AgeDB-30", "CALFW", "CPLFW")),
    Headline("InterFace", 7, BEST, "§IV", (15, 16, 17), tuple(range(1, 15)), "method", ("IJB-B", "IJB-C")),
    Headline("PAM", 2, PAM_LFW, "§4.2", (14,), (10, 11, 12, 13), "method", ("LFW",)),
    Headline("PAM", 2, PAM_LFW, "§4.2", (15,), (10, 11, 12, 13), "method", ("LFW",)),
    Headline("PAM", 2, "PAM loss v1 has an accuracy of 96.14%, which is higher than all the other methods", "§4.2", (14,),
             tuple(range(1, 14)), "method", ("YTF",)),
    # of these, those that the authors trained with the same code
    Headline("PAM", 2, "PAM loss v1 has an accuracy of 96.14%, which is higher than all the other methods", "§4.2", (14,),
             (12,), "method", ("YTF",)),
    Headline("PAM", 2, "PAM loss v1 has an accuracy of 96.14%, which is higher than all the other methods", "§4.2", (14,),
             (13,), "method", ("YTF",)),
)  # fmt: skip
