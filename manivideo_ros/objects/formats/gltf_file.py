"""glTF 2.0 containers (GLB and .gltf): JSON, buffers and accessors, validated.

trimesh's reader applies no skins, morph targets, texture transforms, wrap modes or second sets of
texture coordinates.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.objects.formats.beside import LARGEST_FILE, Beside, shown

READ = {  # supported extensions, which a file may require
    'EXT_texture_webp',
    'KHR_draco_mesh_compression',
    'KHR_lights_punctual',
    'KHR_materials_anisotropy',
    'KHR_materials_clearcoat',
    'KHR_materials_dispersion',
    'KHR_materials_emissive_strength',
    'KHR_materials_ior',
    'KHR_materials_iridescence',
    'KHR_materials_pbrSpecularGlossiness',
    'KHR_materials_sheen',
    'KHR_materials_specular',
    'KHR_materials_transmission',
    'KHR_materials_unlit',
    'KHR_materials_variants',
    'KHR_materials_volume',
    'KHR_mesh_quantization',
    'KHR_texture_transform',
    'KHR_xmp_json_ld',
    'MSFT_texture_dds',
}
ADVICE = {
    'EXT_meshopt_compression': 'gltfpack without -c writes such a file',
    'KHR_meshopt_compression': 'gltfpack without -c writes such a file',
    'KHR_texture_basisu': 'with PNG or JPEG images',
}
TYPES = {5120: 'i1', 5121: 'u1', 5122: 'i2', 5123: 'u2', 5125: 'u4', 5126: 'f4'}
WIDTHS = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT4': 16}
MOST_ITEMS = 50_000_000


class Gltf:
    """A file's JSON and buffers. Errors are ValueErrors that name the part."""

    def __init__(self, path: Path, beside: Beside) -> None:
        self.beside = beside
        self._binary: bytes | None = None
        data = path.read_bytes()
        text = self._unpack(data) if data[:4] == b'glTF' else data
        self.json = json.loads(text.decode('utf-8-sig'))
        if not isinstance(self.json, dict):
            raise ValueError('its JSON is no glTF')
        self._buffers: dict[int, bytes] = {}
        version = str(self.json.get('asset', {}).get('version', '2.0'))
        if not version.startswith('2.'):
            raise ValueError(f'it is glTF {version}; convert it to glTF 2.0')
        for name in self.json.get('extensionsRequired', ()):
            if name not in READ:
                advice = f' ({ADVICE[name]})' if name in ADVICE else ''
                raise ValueError(f'it needs {name}, which is not read: export it without{advice}')

    def _unpack(self, data: bytes) -> bytes:
        """The JSON of a GLB; keeps its binary chunk."""
        if len(data) < 20:
            raise ValueError('it is truncated: a GLB begins with 20 bytes')
        version, length = struct.unpack_from('<II', data, 4)
        if version != 2:
            raise ValueError(f'it is GLB {version}; convert it to glTF 2.0')
        if length > len(data):
            raise ValueError(f'its header has {length} bytes, it has {len(data)}: truncated')
        if length < len(data):
            self.beside.warn(f'{len(data) - length} bytes after its end ({length}) are ignored')
        text, at = b'', 12
        while at + 8 <= length:
            size, kind = struct.unpack_from('<I4s', data, at)
            at += 8
            if at + size > length:
                raise ValueError(f'chunk {kind!r} states {size} bytes and has {length - at}')
            if kind == b'JSON' and not text:
                text = data[at : at + size]
            elif kind == b'BIN\0' and self._binary is None:
                self._binary = data[at : at + size]
            at += size
        return text

    def item(self, kind: str, n: Any) -> dict[str, Any]:
        """Entry n of one of the file's lists."""
        entries = self.json.get(kind, [])
        if not isinstance(n, int) or not 0 <= n < len(entries) or not isinstance(entries[n], dict):
            raise ValueError(f'it refers to {kind}[{n}], but has {len(entries)} of them')
        entry: dict[str, Any] = entries[n]
        return entry

    def bytes_of_uri(self, uri: str) -> bytes:
        """The content of a data URI, or of a file in the mesh's folder."""
        if not uri.startswith('data:'):
            return self.beside.read(uri)
        head, _, body = uri.partition(',')
        if head.endswith(';base64'):
            return base64.b64decode(unquote_to_bytes(body))
        return unquote_to_bytes(body)

    def _buffer(self, n: Any) -> bytes:
        if n not in self._buffers:
            stated = self.item('buffers', n)
            uri, length = stated.get('uri'), stated.get('byteLength', 0)
            if uri is None and n == 0 and self._binary is not None:
                data = self._binary
            elif uri is None:
                raise ValueError(f'buffers[{n}] has no data')
            else:
                data = self.bytes_of_uri(uri)
            if len(data) < length:
                what = f'buffers[{n}]' if uri is None or len(uri) > 80 else f'{shown(uri)}'
                raise ValueError(f'{what} has {len(data)} bytes where byteLength is {length}')
            self._buffers[n] = data
        return self._buffers[n]

    def view(self, n: Any) -> tuple[bytes, int | None]:
        """The bytes of a bufferView, and its stride."""
        view = self.item('bufferViews', n)
        data, start = self._buffer(view.get('buffer')), view.get('byteOffset', 0)
        end = start + view['byteLength']
        if start < 0 or end < start or end > len(data):
            raise ValueError(f'bufferViews[{n}] ends at byte {end} of a buffer of {len(data)}')
        return data[start:end], view.get('byteStride')

    def accessor(self, n: Any) -> NDArray[Any]:
        """The items [count, width] of an accessor; normalized integers as fractions."""
        stated = self.item('accessors', n)
        count, kind = stated['count'], stated['componentType']
        if kind not in TYPES or stated['type'] not in WIDTHS:
            raise ValueError(f'accessors[{n}] is of an unknown type')
        if not 0 <= count <= MOST_ITEMS:
            raise ValueError(f'accessors[{n}] has {count} items, must be at most {MOST_ITEMS}')
        width, dtype = WIDTHS[stated['type']], np.dtype('<' + TYPES[kind])
        if 'bufferView' in stated:
            view, start = stated['bufferView'], stated.get('byteOffset', 0)
            values = self._items(view, start, count, width, dtype, f'accessors[{n}]')
        else:
            values = np.zeros((count, width), dtype)
        sparse = stated.get('sparse')
        if sparse:
            some, at, by = sparse['count'], sparse['indices'], sparse['values']
            if not 0 <= some <= count or at['componentType'] not in TYPES:
                raise ValueError(f'accessors[{n}].sparse has {some} of {count} items')
            of_index = np.dtype('<' + TYPES[at['componentType']])
            where, name = at.get('byteOffset', 0), f'accessors[{n}].sparse'
            rows = self._items(at['bufferView'], where, some, 1, of_index, name)[:, 0]
            new = self._items(by['bufferView'], by.get('byteOffset', 0), some, width, dtype, name)
            if some and not (rows.min() >= 0 and rows.max() < count):
                raise ValueError(f'accessors[{n}].sparse has an index above {count - 1}')
            values = values.copy()
            values[rows] = new
        return fractions(values) if stated.get('normalized') else values

    def _items(
        self, view: Any, start: int, count: int, width: int, dtype: np.dtype, name: str
    ) -> NDArray[Any]:
        data, stride = self.view(view)
        row = width * dtype.itemsize
        stride = stride or row
        needed = start + stride * (count - 1) + row if count else 0
        if start < 0 or stride < row or needed > len(data):
            raise ValueError(
                f'{name} needs {needed} bytes of bufferViews[{view}], which has {len(data)}'
            )
        return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize)).copy()


def fractions(values: NDArray[Any]) -> NDArray[Any]:
    """Normalized integers as fractions 0..1 or -1..1 (specification 3.6.2.2)."""
    if values.dtype.kind == 'f':
        return values
    return np.maximum(values / np.iinfo(values.dtype).max, -1.0)


def draco(data: bytes) -> tuple[NDArray[np.int64], dict[int, NDArray[Any]]]:
    """Triangles [F, 3] and attributes [V, width] by id, of Draco-compressed geometry."""
    try:
        import DracoPy
    except ImportError:
        raise ValueError(
            'it needs KHR_draco_mesh_compression: install DracoPy, or export it without'
        ) from None
    if len(data) > LARGEST_FILE:
        raise ValueError('its compressed geometry is too large')
    try:
        mesh = DracoPy.decode(data)
        attributes = {a['unique_id']: np.asarray(a['data']) for a in mesh.attributes}
        return np.asarray(mesh.faces, np.int64).reshape(-1, 3), attributes
    except Exception as error:  # DracoPy raises many types
        raise ValueError(f'KHR_draco_mesh_compression: cannot be decoded ({error})') from None
