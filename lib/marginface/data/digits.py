"""scikit-learn's bundled 8×8 digits: the embedded stand-in where MNIST is not at hand, and what smoke runs use."""

import numpy as np
from sklearn.datasets import load_digits

from marginface.data.types import ImageData

LABEL = "digits (8×8), not MNIST"


def load() -> ImageData:
    """1,797 images of ten digits; every fifth one is for testing."""
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    test = np.arange(len(labels)) % 5 == 4
    return ImageData("digits", LABEL, 10, images[~test], labels[~test], images[test], labels[test])
