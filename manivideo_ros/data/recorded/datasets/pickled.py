"""ARCTIC's npy files that hold dictionaries: pickles, read without running anything in them.

Only arrays, numbers, text, lists and dictionaries are understood, by the allow-list of the MANO
pickles: numpy's arrays are put together from their bytes, every other name is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.data.recorded.files import RecordedError, missing, one_line
from manivideo_ros.files.inert_pickle import AllowListUnpickler, InertArray, InertScalar

_LARGEST_FILE = 256 * 2**20  # bytes


def read_pickled(file: Path) -> dict[str, Any]:
    """The dictionary of an npy file, its arrays as numpy arrays; what is no number stays inert.

    Raises RecordedError for a file that is missing, damaged, or names anything but arrays.
    """
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise RecordedError(f'{file}: too large for the parameters of a sequence')
        with file.open('rb') as stream:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                _, _, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                _, _, dtype = np.lib.format.read_array_header_2_0(stream)
            if not dtype.hasobject:
                raise RecordedError(f'{file}: holds an array where a dictionary belongs')
            content = AllowListUnpickler(stream, encoding='latin1').load()
        plain = _plain(content)
    except FileNotFoundError:
        raise missing(file) from None
    except pickle.UnpicklingError as error:
        raise RecordedError(
            f'{file}: refused, {one_line(error)}: use the file of the dataset as it is'
        ) from None
    except RecordedError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise RecordedError(
            f'{file}: not a readable npy ({one_line(error)}): get it again'
        ) from None
    if isinstance(plain, list) and len(plain) == 1:  # np.save wraps what it is given
        plain = plain[0]
    if not isinstance(plain, dict):
        raise RecordedError(f'{file}: holds no dictionary: get it again')
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if (
        isinstance(value, InertArray)
        and value.state is not None
        and isinstance(value.state[4], list)
    ):
        return [_plain(item) for item in value.state[4]]  # an array of objects
    if isinstance(value, InertArray | InertScalar):
        try:
            return value.numpy()
        except (TypeError, ValueError):
            return None  # text, such as the names of markers
    return value
