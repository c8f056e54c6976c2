"""Metric learning without faces: characters as classes, typefaces as their images, tested on characters that were not trained.

python examples/no_faces.py          # glyphs where their fonts are installed (book/glyphs.md), else scikit-learn's digits
"""

from marginface.data.catalog import load
from marginface.data.types import DataMissingError
from marginface.margins import NormFace
from marginface.training import Recipe, train


def main(classes: int = 100, epochs: int = 4) -> dict[str, float]:
    """What the network is worth: verification of unseen characters, or accuracy on digits."""
    try:
        data = load(f"glyphs/{classes}/32")
        recipe = Recipe(NormFace(16.0), data=data.name, backbone="LResNet10E-IR-w16", embedding_dim=64, batch_size=64)
    except DataMissingError as missing:
        print(missing)
        data = load("digits")
        recipe = Recipe(NormFace(8.0), data=data.name, backbone="IAM-Toy", embedding_dim=3, optimizer="adam", lr=3e-3)
    run = train(Recipe(**vars(recipe) | {"epochs": epochs}), data, progress=False)
    return run.metrics


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4f}")
