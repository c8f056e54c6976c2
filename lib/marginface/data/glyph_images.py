"""Characters drawn in typefaces: one grey image each, in the middle of its box, near-copies left out.

Fonts are read by fontTools (which characters they have) and drawn by Pillow, whose wheel brings its own FreeType. A character
is drawn at `DRAWN` pixels and then reduced to its box, so that hinting hardly shows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IDEOGRAPHS = (range(0x4E00, 0xA000), range(0x3400, 0x4DC0))  # CJK Unified Ideographs, and Extension A
DRAWN = 128  # pixels an em
NEAR = 16.0  # root mean square difference in grey values below which two drawings count as one
VERSION = 1  # to be raised whenever other pixels come out


def ideographs(path: Path, face: int) -> set[int]:
    """The code points of the ideographs that a typeface has a drawing of its own for.

    Some fonts give several characters one drawing, be it an empty box: such ones are left out.
    """
    from fontTools.ttLib import TTFont

    with TTFont(path, fontNumber=face, lazy=True) as font:
        drawings = font.getBestCmap() or {}
    found = {code: drawing for code, drawing in drawings.items() if any(code in block for block in IDEOGRAPHS)}
    shared = Counter(found.values())
    return {code for code, drawing in found.items() if shared[drawing] == 1 and drawing != ".notdef"}


def draw(path: Path, face: int, codes: Sequence[int], size: int) -> Iterator[NDArray[np.uint8] | None]:
    """Each character (size, size), white on black with a margin of a sixteenth; None where the typeface cannot draw it.

    Its longer side fills the box within the margin. A few fonts fail on single characters; some have empty ones.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(path, DRAWN, index=face, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (3 * DRAWN, 3 * DRAWN))
    pen, inner = ImageDraw.Draw(canvas), size - 2 * (size // 16)
    for code in codes:
        canvas.paste(0, (0, 0, *canvas.size))
        try:
            pen.text((DRAWN, DRAWN), chr(code), fill=255, font=font)
        except OSError:  # such as "invalid opcode"
            yield None
            continue
        if (box := canvas.getbbox()) is None:
            yield None
            continue
        width, height = box[2] - box[0], box[3] - box[1]
        shape = [max(1, round(side * inner / max(width, height))) for side in (height, width)]
        reduced = canvas.resize((shape[1], shape[0]), Image.Resampling.BOX, box=box)
        image = np.zeros((size, size), dtype=np.uint8)
        top, left = ((size - side) // 2 for side in shape)
        image[top : top + shape[0], left : left + shape[1]] = reduced
        yield image


def distinct(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Which of a character's drawings (N, S, S) to keep, (K,) ascending: those that are no near-copy of one kept before."""
    flat = images.reshape(len(images), -1).astype(np.float64)  # whole numbers, which are exact in whatever order they are added
    squares = (flat * flat).sum(axis=1)
    far = squares[:, None] + squares[None, :] - 2 * (flat @ flat.T) >= NEAR**2 * flat.shape[1]
    kept: list[int] = []
    for i in range(len(images)):
        if far[i, kept].all():
            kept.append(i)
    return np.array(kept, dtype=np.int64)
