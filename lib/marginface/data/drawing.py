"""Draws schematic faces as tensors: shapes painted on an ellipsoid that turns, under a lamp.

A face is a set of traits (what it looks like) seen in a view (what happens to be so in one image). Both map names to
tensors that broadcast over images (N, 1, 1). Coordinates run from -1 to 1, x to the right and y down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Values = Mapping[str, Tensor]

# what tells one person from another: mean, and what one standard deviation adds; colours are on no scale of their own
TRAITS: dict[str, tuple[float, float]] = {
    "width": (0.60, 0.045),
    "height": (0.84, 0.04),
    "jaw": (0.16, 0.08),
    "tone": (0.6, 0.9),
    "ruddy": (0.0, 1.0),
    "hair_light": (-0.6, 1.5),
    "hair_red": (-1.0, 1.5),
    "hairline": (-0.66, 0.09),
    "volume": (0.13, 0.05),
    "length": (0.35, 0.45),
    "parting": (0.0, 0.15),
    "temple": (0.75, 0.3),
    "eye_x": (0.375, 0.03),
    "eye_y": (-0.09, 0.035),
    "eye_width": (0.155, 0.018),
    "eye_height": (0.066, 0.015),
    "eye_tilt": (-0.06, 0.10),
    "iris_blue": (-0.5, 1.5),
    "iris_light": (0.0, 1.0),
    "brow_y": (-0.30, 0.03),
    "brow_thick": (0.034, 0.013),
    "brow_tilt": (0.0, 0.13),
    "brow_length": (0.21, 0.03),
    "brow_arch": (0.05, 0.03),
    "nose_width": (0.155, 0.03),
    "nose_y": (0.23, 0.045),
    "mouth_width": (0.27, 0.04),
    "mouth_y": (0.50, 0.035),
    "lip_upper": (0.050, 0.016),
    "lip_lower": (0.065, 0.018),
    "lip_red": (0.0, 1.0),
    "curl": (0.0, 0.03),
    "beard": (-4.0, 3.5),
    "glasses": (-1.0, 1.0),
    "skew": (0.0, 0.015),
}


@dataclass(frozen=True)
class Place:
    """Where each pixel lies, (N, H, W) each.

    x, y: in the image once it is upright.
    across, down, depth: on the head's surface as the viewer sees it, 1 at the rim.
    u, v, forward: the same point on the head itself, forward being where the nose points.
    side: |u|, with which both halves of a face are drawn at once.
    pixel: how many pixels one unit is.
    """

    x: Tensor
    y: Tensor
    across: Tensor
    down: Tensor
    depth: Tensor
    u: Tensor
    v: Tensor
    forward: Tensor
    side: Tensor
    pixel: float


def draw(traits: Values, view: Values, skin: Tensor, moles: Tensor, background: Tensor, *, grey: bool = False) -> Tensor:
    """Faces before a background.

    Arguments:
        traits: a value for every name in `TRAITS`.
        view: roll, yaw, pitch (radians), dx, dy, scale; blink, gaze, smile, open, wide, brows; light_x, light_y, ambient,
            gain; clothes and occluder, (N, 3, 1, 1); hide, hide_x, hide_y, hide_angle, hide_width, hide_height.
        skin: (N, 1, h, w), how bright the skin is over u and v from -1 to 1, about ±1.
        moles: (N, M, 3), u, v and radius of each.
        background: (N, 3, H, W), 0 to 1.
        grey: whether to mix all paints to grey before painting, which gives what one would get after it, sooner.
    Returns: (N, 3 or 1, H, W) float32, 0 to 1 but for light.
    """
    place = _place(traits, view, background.shape[-1])
    colours = _colours(traits) | {"clothes": view["clothes"], "occluder": view["occluder"], "background": background}
    if grey:
        luminance = background.new_tensor([[[0.299]], [[0.587]], [[0.114]]])
        colours = {name: (colour * luminance).sum(dim=1, keepdim=True) for name, colour in colours.items()}
    image = colours["background"].clone()
    _paint_shoulders(image, place, traits, colours)
    uneven = F.grid_sample(skin, torch.stack((place.u, place.v), dim=3), padding_mode="border", align_corners=True)[:, 0]
    face = _face(place, traits, view, colours, uneven, moles)
    face *= _shade(place, view)[:, None]
    image.lerp_(face, _soft(1 - (place.across**2 + place.down**2).sqrt(), 0.5 * place.pixel)[:, None])
    image *= view["gain"][:, None]
    _hide(image, view, colours)
    return image


def _soft(distance: Tensor, sharpness: float) -> Tensor:
    """1 where the distance to an outline is positive, 0 outside, and an edge about 1 / sharpness wide between."""
    return distance.mul(sharpness).add_(0.5).clamp_(0, 1)


def _bump(squared: Tensor) -> Tensor:
    """A round spot: 1 in the middle, 1/2 at distance 1."""
    return squared.square().add_(1).reciprocal_()


def _grid(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    axis = (torch.arange(size, device=like.device) + 0.5) * (2 / size) - 1
    return axis[None, :], axis[:, None]


def _place(t: Values, view: Values, size: int) -> Place:
    x, y = _grid(size, t["width"])
    x, y = x - view["dx"], y - view["dy"]
    cos, sin = view["roll"].cos() / view["scale"], view["roll"].sin() / view["scale"]
    x, y = x * cos + y * sin, y * cos - x * sin
    down = (y - 0.06) / t["height"]
    across = x / (t["width"] * (1 - t["jaw"] * down.clamp_min(0).square()))
    depth = (1 - across**2 - down**2).clamp_min_(1e-4).sqrt_()
    cos, sin = view["yaw"].cos(), view["yaw"].sin()
    u, forward = across * cos - depth * sin, across * sin + depth * cos
    cos, sin = view["pitch"].cos(), view["pitch"].sin()
    v, forward = down * cos - forward * sin, down * sin + forward * cos
    side = u.abs().add_(t["skew"] * u.sign())
    return Place(x, y, across, down, depth, u, v, forward, side, 0.4 * size)


def _colours(t: Values) -> dict[str, Tensor]:
    """The paints, (N, 3, 1, 1) each."""

    def rgb(*channels: Tensor) -> Tensor:
        return torch.stack(channels, dim=1)

    tone, light, red = t["tone"].sigmoid(), t["hair_light"].sigmoid(), t["hair_red"].sigmoid()
    light = light * (0.3 + 0.7 * tone)
    skin = rgb(0.30 + 0.62 * tone, 0.19 + 0.58 * tone - 0.02 * t["ruddy"], 0.13 + 0.52 * tone - 0.04 * t["ruddy"])
    hair = rgb(0.07 + 0.70 * light + 0.18 * red * (1 - light), 0.05 + 0.58 * light, 0.04 + 0.42 * light * (1 - 0.5 * red))
    blue, light = t["iris_blue"].sigmoid(), t["iris_light"].sigmoid()
    iris = rgb(0.15 + 0.05 * light + 0.30 * (1 - blue) * light, 0.12 + 0.28 * light, 0.08 + 0.50 * blue * light)
    lips = skin * rgb(0.86 + 0 * tone, 0.60 - 0.08 * t["lip_red"], 0.62 - 0.06 * t["lip_red"])
    flush = skin * skin.new_tensor([[[1.05]], [[0.82]], [[0.80]]])
    return {"skin": skin, "hair": hair, "iris": iris, "lips": lips, "flush": flush}


def _paint_shoulders(image: Tensor, place: Place, t: Values, colours: dict[str, Tensor]) -> None:
    """What is behind the face: hair, neck, clothes, ears."""
    x, y, pixel = place.x.abs(), place.y, place.pixel
    length = t["length"].clamp_min(0.02)
    volume = 0.7 * t["volume"]
    beside = x / (t["width"] + volume * (2 * (length - y)).clamp_(0, 1))
    above = (y - 0.06).clamp_max(0) / (t["height"] + volume)
    hair = _soft(1 - (beside.square() + above.square()).sqrt_(), 0.5 * pixel) * _soft(
        length - y - 0.2 * x.square(), 0.3 * pixel
    )
    image.lerp_(0.8 * colours["hair"], hair[:, None])
    neck = _soft(0.6 * t["width"] - x, pixel) * _soft(y - 0.5, pixel)
    image.lerp_(0.72 * colours["skin"], neck[:, None])
    image.lerp_(colours["clothes"], _soft(y - 0.93 - 0.25 * (x - 0.35).clamp_min_(0), pixel)[:, None])
    ears = _soft(1 - ((x - t["width"]) / 0.07).square() - (y / 0.15 - 0.4).square(), 4) * _soft(0.15 - length, 8)
    image.lerp_(0.85 * colours["skin"], ears[:, None])


def _face(place: Place, t: Values, view: Values, colours: dict[str, Tensor], uneven: Tensor, moles: Tensor) -> Tensor:
    """The painted head without light, (N, 3, H, W).

    Dark lines and soft shadows are collected in `ink`, one plane, and multiplied onto the colours once.
    """
    ink = 1 + 0.08 * uneven
    face = colours["skin"].repeat(1, 1, *uneven.shape[-2:])
    _paint_beard(face, place, t, colours)
    _paint_eyes(face, ink, place, t, view, colours)
    _paint_nose(ink, place, t, view)
    _paint_mouth(face, ink, place, t, view, colours)
    for mole in moles.unbind(dim=1):
        u, v, radius = mole[..., None, None].unbind(dim=1)
        ink *= 1 - 0.65 * _soft(radius - ((place.u - u).square() + (place.v - v).square()).sqrt_(), 0.6 * place.pixel)
    face *= ink[:, None]
    _paint_hair(face, place, t, colours, uneven)
    return face


def _paint_beard(face: Tensor, place: Place, t: Values, colours: dict[str, Tensor]) -> None:
    """Cheeks, then what grows on them and above the lips."""
    skin, side, v = colours["skin"], place.side, place.v
    cheek = _bump((side - 0.45).square().add_((v - 0.25).square()).mul_(33)) * (0.2 + 0.1 * t["ruddy"]).clamp(0, 0.5)
    face.lerp_(colours["flush"], cheek[:, None])
    jaw = _soft(v - 0.20 - 0.55 * (1 - 1.15 * side).clamp_(0, 1).square_(), 4)
    lip = _soft(0.05 - (v - t["nose_y"] - 0.16).abs_(), 12) * _soft(1.1 * t["mouth_width"] - side, 12)
    beard = torch.maximum(jaw, lip) * (0.8 * t["beard"].sigmoid())
    face.lerp_(0.5 * colours["hair"] + 0.25 * skin, beard[:, None])


def _paint_eyes(face: Tensor, ink: Tensor, place: Place, t: Values, view: Values, colours: dict[str, Tensor]) -> None:
    """Eyes, lids, brows and glasses."""
    pixel = place.pixel
    out, down = place.side - t["eye_x"], place.v - t["eye_y"]
    below = down - t["eye_tilt"] * out
    wide, tall = out / t["eye_width"], below / (t["eye_height"] * view["blink"])
    rim = 1 - wide.square()
    ink *= 1 - 0.22 * _bump(0.4 * wide.square() + (below * 8).square_())
    eye = _soft(rim - tall.abs(), 0.07 * pixel)
    gaze = out - view["gaze"] * place.u.sign()
    ring = (gaze.square() + below.square()).sqrt_()
    white = torch.full_like(colours["skin"], 0.92)
    face.lerp_(white, eye[:, None])
    face.lerp_(colours["iris"], (eye * _soft(0.072 - ring, 0.8 * pixel))[:, None])
    ink *= 1 - 0.9 * eye * _soft(0.033 - ring, 0.8 * pixel)
    lid = (tall + rim) * t["eye_height"]
    lash = _soft(0.016 - lid.abs(), pixel) * _soft(1.15 - wide.abs(), 6)
    crease = _soft(0.009 - (lid + 0.55 * t["eye_height"]).abs_(), 0.7 * pixel) * _soft(1.1 - wide.abs(), 4)
    ink *= 1 - torch.maximum(0.8 * lash, 0.3 * crease)
    along = (out - 0.01) / t["brow_length"]
    arc = 1 - along.square()
    above = place.v - t["brow_y"] - t["brow_tilt"] * out + t["brow_arch"] * arc - 0.02 + view["brows"]
    brow = _soft(t["brow_thick"].clamp_min(0.01) * arc * (1 - 0.35 * along).clamp_min_(0.1) - above.abs_(), 0.5 * pixel)
    face.lerp_(0.55 * colours["hair"] + 0.06 * colours["skin"], (0.9 * brow)[:, None])
    lens = (0.8 * out.square() + 1.5 * (down - 0.02).square()).sqrt_().sub_(0.23).abs_()
    bridge = torch.maximum((down + 0.02).abs_(), (place.side - 0.05).abs_().sub_(0.08))
    ink *= 1 - _soft(0.017 - torch.minimum(lens, bridge), 0.8 * pixel) * (0.85 * (t["glasses"] > 0))


def _paint_nose(ink: Tensor, place: Place, t: Values, view: Values) -> None:
    """A ridge with a shadow on either side, tip, wings and nostrils. It stands out, so that turning the head moves it."""
    down, width = place.v - t["nose_y"], t["nose_width"]
    ridge = _soft(place.v + 0.15, 5) * _soft(0.02 - down, 8)
    across = place.u + 0.3 * view["yaw"].sin() * (place.v + 0.3).clamp_(0, 0.5) * _soft(0.2 - down, 4) * 2
    side = across.abs()
    slope = side - width * (0.45 + (place.v + 0.1).clamp_(0, 0.35))
    ink *= 1 - 0.3 * _bump((slope * 22).square_()) * ridge
    ink *= 1 + 0.12 * _bump((across / (0.6 * width)).square() + ((down + 0.03) * 14).square_())
    wing = ((side - 0.62 * width).square() + (0.77 * (down + 0.01)).square_()).sqrt_().sub_(0.33 * width).abs_()
    ink *= 1 - 0.3 * _soft(0.028 - wing, 0.4 * place.pixel) * _soft(down + 0.04, 12)
    nostril = 1 - ((side - 0.5 * width) / (0.26 * width)).square() - ((down - 0.035) * 42).square_()
    ink *= 1 - 0.7 * _soft(nostril, 0.04 * place.pixel)


def _paint_mouth(face: Tensor, ink: Tensor, place: Place, t: Values, view: Values, colours: dict[str, Tensor]) -> None:
    pixel = place.pixel
    along = place.u / (t["mouth_width"] * view["wide"])
    arc = 1 - along.square()
    inside = _soft(arc, 5)
    down = place.v - t["mouth_y"] - (t["curl"] + view["smile"]) * (0.4 - along.square())
    upper = t["lip_upper"] * arc * (0.9 + 0.4 * (3 * along.abs()).clamp_(0, 1))
    lower = t["lip_lower"] * arc.clamp_min(0).sqrt_() + view["open"]
    lips = _soft(upper + down, pixel) * _soft(lower - down, pixel) * inside
    face.lerp_(colours["lips"], lips[:, None])
    gap = 0.010 + 0.5 * view["open"] * arc.clamp_min(0) - (down - 0.5 * view["open"]).abs_()
    ink *= 1 - 0.7 * _soft(gap, pixel) * _soft(1.08 - along.abs(), 8)
    ink *= 1 - 0.12 * _bump((place.u * 5.5).square_() + ((place.v - t["mouth_y"] - 0.16) * 22).square_())


def _paint_hair(face: Tensor, place: Place, t: Values, colours: dict[str, Tensor], uneven: Tensor) -> None:
    u, v = place.u, place.v
    fringe = t["hairline"] + t["parting"] * u + t["temple"] * place.side.pow(4) - v
    back = torch.minimum(0.6 * (0.16 - place.forward), t["length"].clamp_min(0.02) - 0.1 - v)
    hair = _soft(torch.maximum(fringe, back), 0.3 * place.pixel)
    streaks = 1 + 0.10 * (23 * u + 9 * v + 3 * uneven).cos_()
    face.lerp_(colours["hair"] * streaks[:, None], hair[:, None])


def _shade(place: Place, view: Values) -> Tensor:
    """A lamp far away, on the ellipsoid's own slope, and what light there is from everywhere."""
    lamp = place.across * view["light_x"] + place.down * view["light_y"] + place.depth
    lamp = lamp / (1 + view["light_x"].square() + view["light_y"].square()).sqrt()
    return view["ambient"] + (1 - view["ambient"]) * lamp.clamp_min_(0)


def _hide(image: Tensor, view: Values, colours: dict[str, Tensor]) -> None:
    """A rectangle in front of everything where `hide` is 1."""
    x, y = _grid(image.shape[-1], image)
    x, y = x - view["hide_x"], y - view["hide_y"]
    cos, sin = view["hide_angle"].cos(), view["hide_angle"].sin()
    far = torch.maximum((x * cos + y * sin).abs_() - view["hide_width"], (y * cos - x * sin).abs_() - view["hide_height"])
    image.lerp_(colours["occluder"], (_soft(-far, 0.5 * image.shape[-1]) * view["hide"])[:, None])
