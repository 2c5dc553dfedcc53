"""Small copies of Objaverse for tests."""

import gzip
import json
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

BOX, BALL, MUG, ABSENT, BROKEN = (f'{i:032x}' for i in range(1, 6))

LICENCE = {BOX: 'by', BALL: 'cc0', MUG: 'by-nc-sa', ABSENT: 'by', BROKEN: 'by'}

PART = {BOX: '000-000', BALL: '000-023', MUG: '000-023', ABSENT: '000-023', BROKEN: '000-023'}


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, 'wt') as file:
        json.dump(content, file)


def entry(uid: str, licence: str) -> dict:
    return {
        'uid': uid,
        'name': f'Thing {uid[-1]}',
        'license': licence,
        'isAgeRestricted': False,
        'user': {'username': 'maker', 'displayName': 'A Maker'},
        'viewerUrl': f'https://sketchfab.com/3d-models/{uid}',
    }


def make_copy(folder: Path) -> Path:
    """A copy with a tall red box, a ball, a mug under another licence and a broken file."""
    root = folder / 'hf-objaverse-v1'
    paths = {uid: f'glbs/{PART[uid]}/{uid}.glb' for uid in LICENCE}
    write_json(root / 'object-paths.json.gz', paths)
    for part in set(PART.values()):
        rows = {uid: entry(uid, LICENCE[uid]) for uid in LICENCE if PART[uid] == part}
        write_json(root / 'metadata' / f'{part}.json.gz', rows)
    write_json(root / 'lvis-annotations.json.gz', {'box': [BOX], 'mug': [MUG]})
    red = trimesh.visual.TextureVisuals(
        uv=np.zeros((8, 2)),
        material=trimesh.visual.material.PBRMaterial(
            baseColorTexture=Image.new('RGB', (8, 8), (220, 30, 30))
        ),
    )
    box = trimesh.creation.box((1.0, 3.0, 0.5))  # glTF: y is up
    box = trimesh.Trimesh(box.vertices + np.array([7, -4, 2]), box.faces, visual=red, process=False)
    ball = trimesh.creation.icosphere(2, radius=400.0)
    for uid, mesh in ((BOX, box), (BALL, ball), (MUG, ball)):
        (root / paths[uid]).parent.mkdir(parents=True, exist_ok=True)
        mesh.export(str(root / paths[uid]))
    (root / paths[BROKEN]).write_bytes(b'glTF and then nothing')
    return folder
