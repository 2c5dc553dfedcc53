"""Hand files like MANO's with random data, as npz and as pickles like the official ones."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np

from manivideo_ros.hand.load import read_hand
from manivideo_ros.hand.model import PARENTS


def mano_like(side='right', seed=0):
    """Arrays of a hand with MANO's names: a scaled default hand with random pose correctives."""
    rng = np.random.default_rng(seed)
    hand = read_hand(side)
    count = len(hand.v_template)
    return {
        'v_template': hand.v_template.astype(np.float64) * 1.07,
        'f': hand.faces.astype(np.uint32),
        'weights': hand.weights.astype(np.float64),
        'J_regressor': hand.J_regressor.astype(np.float64),
        'kintree_table': np.array([[2**32 - 1, *PARENTS[1:]], list(range(16))], np.uint32),
        'shapedirs': hand.shapedirs * rng.uniform(0.5, 1.5, 10),
        'posedirs': rng.normal(0, 3e-4, (count, 3, 135)),
        'hands_mean': rng.normal(0, 0.3, 45),
        'hands_components': np.linalg.qr(rng.normal(size=(45, 45)))[0],
    }


def save_npz(path, arrays):
    np.savez(path, **arrays)
    return path


def save_official_like(path, arrays):
    """A pickle like the official ones: protocol 2, chumpy objects, a sparse regressor."""
    names = ('chumpy', 'chumpy.ch', 'chumpy.reordering', 'scipy.sparse.csc')
    modules = {name: types.ModuleType(name) for name in names}

    def define(module, name):
        kind = type(name, (), {'__module__': module})
        setattr(modules[module], name, kind)
        return kind

    variable = define('chumpy.ch', 'Ch')
    select = define('chumpy.reordering', 'Select')
    sparse = define('scipy.sparse.csc', 'csc_matrix')

    def made(kind, **state):
        thing = kind()
        thing.__dict__.update(state)
        return thing

    shapes = np.asarray(arrays['shapedirs'], np.float64)
    regressor = np.asarray(arrays['J_regressor'])
    columns, rows = np.nonzero(regressor.T)
    content = dict(arrays)
    content['v_template'] = made(variable, x=np.asfortranarray(arrays['v_template']), _itr=0)
    content['shapedirs'] = made(
        select,
        a=made(variable, x=np.concatenate([shapes.ravel(), np.zeros(7)]), _dirty_vars=set()),
        idxs=np.arange(shapes.size),
        preferred_shape=shapes.shape,
    )
    content['J_regressor'] = made(
        sparse,
        _shape=regressor.shape,
        data=regressor.T[columns, rows],
        indices=rows.astype(np.int32),
        indptr=np.searchsorted(columns, np.arange(regressor.shape[1] + 1)).astype(np.int32),
        format='csc',
        maxprint=50,
    )
    content['bs_style'] = 'lbs'
    known = {name: sys.modules.get(name) for name in names}
    sys.modules.update(modules)
    try:
        path.write_bytes(pickle.dumps(content, protocol=2))
    finally:
        for name, module in known.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return path
