"""The three innermost loops of the rasterizer, over the pixels of a row, in C++ for CPU and CUDA.

On the CPU each loop is compiled to masked vector instructions without a remainder loop, so that a
pixel's result does not depend on where its run begins: images are bit-identical for any division
into rectangles and threads. On CUDA a run is one pixel.
"""

# mypy: ignore-errors
from __future__ import annotations

import warp as wp

_VECTOR = """
#if defined(__CUDA_ARCH__)
#define MLO_VECTOR_LOOP
#define MLO_SQRT sqrtf
#else
#define MLO_VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety) vectorize_width(%d) \
vectorize_predicate(enable)")
#define MLO_SQRT __builtin_elementwise_sqrt
#endif
    union Bits { float value; unsigned int bits; };
"""
_END = """
#undef MLO_VECTOR_LOOP
#undef MLO_SQRT
"""

_RASTER = """
    unsigned long long* out = reinterpret_cast<unsigned long long*>(keys.data) + row;
    MLO_VECTOR_LOOP
    for (int x = first; x <= last; ++x) {
        const float u = x + half;
        // The depth of a face seen on edge is inaccurate: clamp it to the depths of its corners.
        float inverse = ad * u + rd;
        inverse = inverse > least ? inverse : least;
        inverse = inverse < most ? inverse : most;
        const bool inside = (a0 * u + r0 >= 0.0f) & (a1 * u + r1 >= 0.0f)
            & (a2 * u + r2 >= 0.0f) & (inverse <= ceiling);
        Bits packed;
        packed.value = inverse;
        const unsigned long long key
            = inside ? (static_cast<unsigned long long>(packed.bits) << 32) | low : 0;
#if defined(__CUDA_ARCH__)
        if (key)
            atomicMax(out + x, key);
#else
        const unsigned long long old = out[x];
        out[x] = key > old ? key : old;
#endif
    }
"""


@wp.func_native(_VECTOR % 8 + _RASTER + _END)
def raster_row(
    keys: wp.array2d(dtype=wp.uint64),
    row: int,
    first: int,
    last: int,
    half: float,
    a0: float,
    r0: float,
    a1: float,
    r1: float,
    a2: float,
    r2: float,
    ad: float,
    rd: float,
    least: float,
    most: float,
    ceiling: float,
    low: wp.uint64,
):
    """Rasterize a face to columns first..last of the row of keys that starts at `row`.

    u = x + half; edges: a * u + r >= 0 inside; 1/z = ad * u + rd, clamped to least..most; pixels
    where it exceeds ceiling are skipped. low: the key's lower half.
    """
    ...


_NEAREST = """
    const unsigned long long* in
        = reinterpret_cast<const unsigned long long*>(keys.data) + plane + row;
    float* best = nearest_inverse.data + row;
    int* best_layer = nearest_layer.data + row;
    MLO_VECTOR_LOOP
    for (int x = first; x <= last; ++x) {
        Bits inverse;
        inverse.bits = static_cast<unsigned int>(in[x] >> 32);
        const bool nearer = inverse.value > best[x];
        best[x] = nearer ? inverse.value : best[x];
        best_layer[x] = nearer ? layer : best_layer[x];
    }
"""


@wp.func_native(_VECTOR % 16 + _NEAREST + _END)
def nearest_row(
    keys: wp.array2d(dtype=wp.uint64),
    nearest_inverse: wp.array(dtype=wp.float32),
    nearest_layer: wp.array(dtype=wp.int32),
    layer: int,
    plane: int,
    row: int,
    first: int,
    last: int,
):
    """Update the nearest 1/z and its layer in columns first..last with one more layer.

    plane, row: offsets of the layer and the row in pixels.
    """
    ...


_RESOLVE = """
    unsigned long long* in = reinterpret_cast<unsigned long long*>(keys.data) + plane + row;
    const float* face_planes = reinterpret_cast<const float*>(planes.data);
    const float* best = nearest_inverse.data + row;
    const int* best_layer = nearest_layer.data + row;
    const int pixels = normal_map.shape.dims[2];
    float* out_x = normal_map.data + 3 * plane + row;
    float* out_y = out_x + pixels;
    float* out_z = out_y + pixels;
    float* seen_x = visible_normal.data + row;
    float* seen_y = seen_x + pixels;
    float* seen_z = seen_y + pixels;
    float* out_depth = depth.data + plane + row;
    float* out_confidence = occlusion_confidence.data + plane + row;
    int* out_face = face_index.data + plane + row;
    MLO_VECTOR_LOOP
    for (int x = first; x <= last; ++x) {
        const unsigned long long key = in[x];
        const bool present = key != 0;
        in[x] = 0;
        const int face = present ? static_cast<int>(~static_cast<unsigned int>(key)) : 0;
        const float* p = face_planes + 21 * face + 12;
        const float u = x + half;
        float nx = p[0] * u + (p[1] * v + p[2]);
        float ny = p[3] * u + (p[4] * v + p[5]);
        float nz = p[6] * u + (p[7] * v + p[8]);
        // A normal that interpolation turns away is made perpendicular to the ray.
        const float rx = ray_a * u + ray_b;
        const float away = nx * rx + ny * ray_y + nz;
        const float back = (away > 0.0f ? away : 0.0f) / (rx * rx + ray_y * ray_y + 1.0f);
        nx -= back * rx;
        ny -= back * ray_y;
        nz -= back;
        const float square = nx * nx + ny * ny + nz * nz;
        const float scale = present && square > 0.0f ? 1.0f / MLO_SQRT(square) : 0.0f;
        Bits inverse;
        inverse.bits = static_cast<unsigned int>(key >> 32);
        const float z = present ? 1.0f / inverse.value : 0.0f;
        float confidence;
        if (graded) {
            // exp as 2^whole * 2^part, with a series for the part, accurate to 2e-7.
            float power = (1.0f / best[x] - z) * falloff;
            power = power > -120.0f ? power : -120.0f;
            const float whole = floorf(power);
            const float t = (power - whole) * 0.6931471806f;
            const float series = 1.0f + t * (1.0f + t * (0.5f + t * (0.1666666667f
                + t * (0.0416666667f + t * (0.0083333333f + t * (0.0013888889f
                + t * 0.0001984127f))))));
            Bits two;
            two.bits = static_cast<unsigned int>(static_cast<int>(whole) + 127) << 23;
            confidence = power < 0.0f ? series * two.value : 1.0f;
        } else {
            confidence = (far - z) * per_range;
            confidence = confidence > 0.0f ? confidence : 0.0f;
            confidence = confidence < 1.0f ? confidence : 1.0f;
        }
        const bool seen = present && best_layer[x] == layer;
        nx *= scale;
        ny *= scale;
        nz *= scale;
        out_x[x] = nx;
        out_y[x] = ny;
        out_z[x] = nz;
        seen_x[x] = seen ? nx : seen_x[x];
        seen_y[x] = seen ? ny : seen_y[x];
        seen_z[x] = seen ? nz : seen_z[x];
        out_depth[x] = z;
        out_confidence[x] = present ? confidence : 0.0f;
        out_face[x] = present ? face : -1;
    }
"""


@wp.func_native(_VECTOR % 16 + _RESOLVE + _END)
def resolve_row(
    planes: wp.array2d(dtype=wp.vec3),
    keys: wp.array2d(dtype=wp.uint64),
    nearest_inverse: wp.array(dtype=wp.float32),
    nearest_layer: wp.array(dtype=wp.int32),
    normal_map: wp.array3d(dtype=wp.float32),
    depth: wp.array2d(dtype=wp.float32),
    occlusion_confidence: wp.array2d(dtype=wp.float32),
    face_index: wp.array2d(dtype=wp.int32),
    visible_normal: wp.array2d(dtype=wp.float32),
    layer: int,
    plane: int,
    row: int,
    first: int,
    last: int,
    half: float,
    v: float,
    ray_a: float,
    ray_b: float,
    ray_y: float,
    graded: bool,
    falloff: float,
    far: float,
    per_range: float,
):
    """Convert the keys of columns first..last of one layer to images; keys are 0 afterwards.

    u = x + half, v: raster coordinates; ray: (ray_a * u + ray_b, ray_y, 1); falloff: log2(e) / tau
    of the graded confidence; far, per_range: z_far and 1 / (z_far - z_near) of the depth mode.
    """
    ...
