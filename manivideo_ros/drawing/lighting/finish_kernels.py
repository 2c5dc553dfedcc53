"""Warp functions of surfaces in a scene's light: materials, highlights, what metals mirror."""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

from manivideo_ros.camera.light import GREY_SHOWN

wp.set_module_options({'enable_backward': False})

DARKEST = wp.constant(0.03)
GREY = wp.constant(GREY_SHOWN)
RIM = wp.constant(-0.05)
"""z of the directions beyond which a grey ball is not seen: what comes from there is taken to look
as at the ball's rim."""


@wp.struct
class Lamp:
    """The lamp of a frame and its surrounding, in the units of shown colours; camera frame."""

    towards: wp.vec3
    power: wp.vec3  # irradiance of a surface that faces it
    ambient: wp.vec3
    spread: float  # tangent of its angular radius


@wp.func
def fifth_power(x: float) -> float:
    """x^5, for Schlick's Fresnel term."""
    return x * x * x * x * x


@wp.func
def highlight(
    n: wp.vec3, towards: wp.vec3, v: wp.vec3, roughness: float, f0: float, spread: float
) -> float:
    """GGX reflectance times pi n . towards; spread = lamp radius / distance widens it.

    The widening is Karis's ("Real Shading in Unreal Engine 4", 2013).
    """
    h = wp.normalize(towards + v)
    ndl = wp.max(wp.dot(n, towards), 0.0)
    ndv = wp.max(wp.dot(n, v), 0.05)
    ndh = wp.max(wp.dot(n, h), 0.0)
    vdh = wp.max(wp.dot(v, h), 0.0)
    alpha = roughness * roughness
    wide = wp.min(alpha + 0.5 * spread, 1.0)
    energy = (alpha / wide) * (alpha / wide)
    a2 = wide * wide
    d = ndh * ndh * (a2 - 1.0) + 1.0
    distribution = energy * a2 / (3.14159265 * d * d)
    kk = 0.5 * alpha + 0.05
    geometry = 0.25 / ((ndl * (1.0 - kk) + kk) * (ndv * (1.0 - kk) + kk))
    fresnel = f0 + (1.0 - f0) * fifth_power(1.0 - vdh)
    return 3.14159265 * distribution * geometry * fresnel * ndl


@wp.func
def grey_shown(ball: wp.array(dtype=wp.vec3), n: wp.vec3) -> wp.vec3:
    """sRGB of a grey ball at a normal, relative to its albedo; model/patch/light.py has the terms.

    ball: [16] coefficients of x^a y^b z^c, in the order of a, then b, then c.
    """
    x = n[0]
    y = n[1]
    z = n[2]
    total = (ball[0] + ball[1] * z) + (ball[2] + ball[3] * z) * y
    total += (ball[4] + ball[5] * z) * (y * y) + ball[6] * (y * y * y)
    total += x * ((ball[7] + ball[8] * z) + (ball[9] + ball[10] * z) * y + ball[11] * (y * y))
    total += (x * x) * ((ball[12] + ball[13] * z) + ball[14] * y) + ball[15] * (x * x * x)
    return wp.vec3(
        wp.clamp(total[0], DARKEST, 1.0) / GREY,
        wp.clamp(total[1], DARKEST, 1.0) / GREY,
        wp.clamp(total[2], DARKEST, 1.0) / GREY,
    )


@wp.func
def in_view(direction: wp.vec3) -> wp.vec3:
    """The direction itself, or the nearest one on the rim of what is seen of a ball."""
    return wp.normalize(wp.vec3(direction[0], direction[1], wp.min(direction[2], RIM)))


@wp.func
def surface_shown(ball: wp.array(dtype=wp.vec3), n: wp.vec3, seen_lit: bool) -> wp.vec3:
    """By what the sRGB colour of a material is multiplied in the light of a grey ball.

    seen_lit: whether the material's colour is not an albedo, but was seen in that light, facing it.
    """
    shown = grey_shown(ball, n)
    if seen_lit:
        shown = wp.cw_div(shown, grey_shown(ball, wp.vec3(0.0, 0.0, -1.0)))
    return shown


@wp.func
def finished(
    colour: wp.vec3,  # sRGB of the material
    diffuse: wp.vec3,  # sRGB of what it reflects to all sides
    ball: wp.array(dtype=wp.vec3),
    lamp: Lamp,
    finish: wp.vec3,  # z: metalness, y: gloss
    n: wp.vec3,
    ray: wp.vec3,  # from the camera to the surface
    seen: float,  # the share of the lamp that the surface sees
    around: wp.vec3,  # the share of the surroundings' light that reaches it
) -> wp.vec3:
    """The sRGB colour of a surface with its highlight and what it mirrors; not bounded.

    The formulas are the generator's (data/rendering/shading.py), where the surroundings are what
    the grey ball shows of them besides the lamp. Gamma 2 approximates sRGB.
    """
    gloss = finish[1]
    metal = finish[2]
    view = -wp.normalize(ray)
    ndv = wp.max(wp.dot(n, view), 0.0)
    rough = 0.8 - 0.6 * gloss
    f0 = 0.02 + 0.03 * wp.min(gloss * 2.0, 1.0)
    bent = in_view(2.0 * wp.dot(n, view) * n - view)
    shown = grey_shown(ball, bent)
    mirrored = wp.cw_mul(shown, shown) - lamp.power * wp.max(wp.dot(bent, lamp.towards), 0.0)
    for channel in range(3):
        mirrored[channel] = wp.max(mirrored[channel], 0.5 * lamp.ambient[channel])
    mirrored = wp.cw_mul(mirrored, around)
    fresnel = f0 + (wp.max(0.5 * gloss + 0.05, f0) - f0) * fifth_power(1.0 - ndv)
    plain = highlight(n, lamp.towards, view, rough, f0, lamp.spread) * seen
    total = wp.cw_mul(diffuse, diffuse) + mirrored * fresnel + lamp.power * plain
    if metal > 0.0:
        bright = highlight(n, lamp.towards, view, rough, 1.0, lamp.spread) * seen
        tinted = wp.cw_mul(wp.cw_mul(colour, colour), mirrored + lamp.power * bright)
        total = total * (1.0 - metal) + tinted * metal
    return wp.vec3(
        wp.sqrt(wp.max(total[0], 0.0)),
        wp.sqrt(wp.max(total[1], 0.0)),
        wp.sqrt(wp.max(total[2], 0.0)),
    )
