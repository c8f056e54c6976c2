"""IJB-B, IJB-C and MegaFace as the InsightFace project distributes them, where a reader has their folders.

    IJBB/loose_crop/  IJBB/meta/ijbb_face_tid_mid.txt  …_template_pair_label.txt  …_name_5pts_score.txt     and IJBC/ alike
    megaface_testpack_v1.0/facescrub_images/  …/facescrub_lst  …/facescrub_noises.txt                       and megaface_… alike

They have up to a million images, which are read when they are needed.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from marginface.data import lists
from marginface.data.align import align
from marginface.data.files import printable, quoted, read_bytes
from marginface.data.images import check_size, read_image
from marginface.data.planted import DEEPEST
from marginface.data.types import DataMissingError, IdentificationTest, TemplateTest, Test

IJB = {"IJB-B": "IJBB", "IJB-C": "IJBC"}
MEGAFACE = "megaface_testpack_v1.0"


@dataclass(frozen=True, eq=False)
class FilesOfFaces:
    """Images (M, 3, H, W) uint8 in M files, read when a slice of them is asked for.

    With `landmarks` (M, 5, 2) they are aligned to 112 × 112, without they are so already.
    """

    paths: tuple[Path, ...]
    landmarks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, part: slice, /) -> np.ndarray:
        """Raises: ValueError naming a file that is missing, damaged or of another size than the first."""
        with ThreadPoolExecutor() as pool:  # OpenCV lets go of the interpreter's lock
            images = list(pool.map(self._read, range(len(self))[part]))
        for place, image in zip(range(len(self))[part], images, strict=True):
            check_size(image.shape[1:], self._size, printable(self.paths[place]))
        return np.stack(images)

    @cached_property
    def _size(self) -> tuple[int, ...]:
        return self._read(0).shape[1:]

    def _read(self, place: int) -> np.ndarray:
        image = read_image(self.paths[place])
        return image.transpose(2, 0, 1) if self.landmarks is None else align(image, self.landmarks[place])


def at_hand(root: Path) -> tuple[dict[str, Test], str]:
    """The benchmarks whose folders are in the data folder, and a fingerprint of their lists, empty where there are none.

    Raises: DataMissingError naming a list that is not there; ValueError naming a damaged one.
    """
    found: dict[str, Test] = {name: ijb(root / folder) for name, folder in IJB.items() if (root / folder).is_dir()}
    if (root / MEGAFACE).is_dir():
        found["MegaFace"] = megaface(root / MEGAFACE)
    digest = hashlib.sha256()
    for folder in [*IJB.values(), MEGAFACE]:
        for path in sorted(path for kind in ("meta/*.txt", "*_lst", "*.txt") for path in (root / folder).glob(kind)):
            digest.update(path.name.encode() + read_bytes(path))
    return found, digest.hexdigest() if found else ""


def ijb(folder: Path) -> TemplateTest:
    """IJB-B's or IJB-C's verification (1:1), in a folder with loose_crop/ and meta/."""
    named = {
        kind: _only(folder / "meta", f"*_{kind}.txt") for kind in ("face_tid_mid", "template_pair_label", "name_5pts_score")
    }
    names, templates, media = lists.ijb_media(named["face_tid_mid"])
    detected, landmarks, scores = lists.ijb_landmarks(named["name_5pts_score"])
    if names != detected:
        raise ValueError(
            f"{named['name_5pts_score']}: its images are not those of {named['face_tid_mid'].name}, in their order"
        )
    left, right, same = lists.ijb_pairs(named["template_pair_label"])
    images = FilesOfFaces(tuple(folder / "loose_crop" / name for name in names), landmarks)
    return TemplateTest(images, np.arange(len(names)), templates, media, left, right, same, quality=scores)


def megaface(folder: Path) -> IdentificationTest:
    """MegaFace with FaceScrub's people as probes, in a folder with both sets aligned, their lists and the lists of noise.

    Raises: DataMissingError for a list that is not there; ValueError naming one that does not say who is on FaceScrub's images.
    """
    paths: list[Path] = []
    noise, counts, people = [], [], np.empty(0, dtype=np.int64)
    for name in ("facescrub", "megaface"):
        listed = _only(folder, f"{name}_lst")
        inside, _ = lists.image_list(listed)
        if name == "facescrub":
            flat = next((path for path in inside if "/" not in path.strip("/")), None)
            if flat is not None:
                raise ValueError(f"{printable(listed)}: expected paths with a folder for each person, got {quoted(flat)}")
            people = np.unique([path.split("/")[-2] for path in inside], return_inverse=True)[1]
        paths += [folder / f"{name}_images" / path for path in inside]
        noise.append(lists.is_noise(inside, lists.noise_list(_only(folder, f"{name}_noises.txt"))))
        counts.append(len(inside))
    probes, distractors = np.arange(counts[0]), np.arange(counts[0], sum(counts))
    return IdentificationTest(FilesOfFaces(tuple(paths)), probes, people, distractors, np.concatenate(noise), DEEPEST)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise DataMissingError(f"{printable(folder / pattern)}: expected one such file, there are {len(found)}")
    return found[0]
