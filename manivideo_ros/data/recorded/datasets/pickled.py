"""Reads ARCTIC's npy files that hold dictionaries: pickles, read without executing them.

Only arrays, numbers, text, lists and dictionaries are accepted, by the allow-list of the MANO
pickles: numpy arrays are built from their bytes, every other name is rejected.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.data.recorded.files import RecordedError, missing
from manivideo_ros.files.errors import reason_of
from manivideo_ros.files.inert_pickle import AllowListUnpickler, Inert

_LARGEST_FILE = 256 * 2**20  # bytes


def read_pickled(file: Path) -> dict[str, Any]:
    """The dictionary of an npy file, its arrays as numpy arrays.

    Raises RecordedError for a file that is missing, damaged or holds anything but arrays.
    """
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise RecordedError(f'{file}: larger than {_LARGEST_FILE >> 20} MiB: get it again')
        with file.open('rb') as stream:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                _, _, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                _, _, dtype = np.lib.format.read_array_header_2_0(stream)
            if not dtype.hasobject:
                raise RecordedError(f'{file}: is an array, not a dictionary: get it again')
            content = AllowListUnpickler(stream, encoding='latin1').load()
        plain = _plain(content)
    except FileNotFoundError:
        raise missing(file) from None
    except pickle.UnpicklingError as error:
        raise RecordedError(
            f'{file}: refused, {reason_of(error)}: use the original file of the dataset'
        ) from None
    except RecordedError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise RecordedError(
            f'{file}: not a readable npy ({reason_of(error)}): get it again'
        ) from None
    if isinstance(plain, list) and len(plain) == 1:  # np.save wraps objects in an array
        plain = plain[0]
    if not isinstance(plain, dict):
        raise RecordedError(f'{file}: is not a dictionary: get it again')
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Inert) and value.kind in ('array', 'scalar'):
        if value.state is not None and isinstance(value.state[4], list):
            return [_plain(item) for item in value.state[4]]  # an array of objects
        try:
            return value.numpy()
        except (TypeError, ValueError):
            return None  # text, such as marker names
    return value
