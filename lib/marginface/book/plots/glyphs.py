"""Pictures of the second test bed, drawn from the typefaces at hand when the page is built."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

from marginface.data import glyph_images
from marginface.data.files import data_root
from marginface.data.typefaces import Typeface, locate, packages, typefaces
from marginface.data.types import DataMissingError


def glyph_sheet(characters: str, groups: Sequence[str], size: int = 32, root: str | Path | None = None) -> None:
    """Each character in a typeface of each group, a row a typeface. Without the fonts it says what it would show."""
    faces = [_plain(group) for group in groups]
    try:
        files = locate(faces, data_root(root))
    except DataMissingError:
        names = ", ".join(packages(faces))
        text = f"*Here would be {len(characters)} characters in {len(faces)} typefaces, of the packages {names}.*"
        display(Markdown(text))
        return
    figure, axes = plt.subplots(figsize=(8, 8 * len(faces) / (len(characters) + 6)))
    axes.imshow(_sheet(faces, files, characters, size), cmap="gray_r", interpolation="nearest")
    axes.set_yticks(size * (np.arange(len(faces)) + 0.5), [face.family for face in faces], fontsize=7)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.tight_layout()
    plt.show()


def _plain(group: str) -> Typeface:
    """The group's typeface that is no bold or light one, if it has any."""
    own = [face for face in typefaces() if face.group == group]
    return next((face for face in own if face.style in ("Regular", "Medium", "Book")), own[0])


def _sheet(faces: Sequence[Typeface], files: Sequence[Path], characters: str, size: int) -> np.ndarray:
    empty = np.zeros((size, size), dtype=np.uint8)
    rows = []
    for face, path in zip(faces, files, strict=True):
        drawn = glyph_images.draw(path, face.face, [ord(character) for character in characters], size)
        rows.append(np.concatenate([empty if image is None else image for image in drawn], axis=1))
    return np.concatenate(rows)
