"""The tables of a LeRobot dataset's frames: each file has many episodes, a row group each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.recording.lerobot.features import (
    DATA_MB,
    DATA_PATH,
    FILES_PER_CHUNK,
)


def arrow_type(feature: dict[str, Any]) -> Any:
    """The type of a feature's column."""
    import pyarrow

    if feature['dtype'] == 'language':
        return language_type()
    if feature['dtype'] == 'string':
        return pyarrow.string()
    if feature['dtype'] == 'image':
        return pyarrow.struct({'bytes': pyarrow.binary(), 'path': pyarrow.string()})
    kind = pyarrow.from_numpy_dtype(np.dtype(feature['dtype']))
    return kind if list(feature['shape']) == [1] else pyarrow.list_(kind, feature['shape'][0])


def language_type() -> Any:
    """The type of lerobot's column `language_persistent`."""
    import pyarrow

    text = pyarrow.string()
    return pyarrow.list_(
        pyarrow.struct(
            [
                pyarrow.field('role', text, nullable=False),
                pyarrow.field('content', text),
                pyarrow.field('style', text),
                pyarrow.field('timestamp', pyarrow.float32(), nullable=False),
                pyarrow.field('camera', text),
                pyarrow.field('tool_calls', pyarrow.list_(text)),  # JSON
            ]
        )
    )


def frame_table(columns: dict[str, Any], features: dict[str, Any]) -> Any:
    """A table of columns: numbers [F, N] by name; images and language as rows [F]."""
    import pyarrow

    fields, arrays = [], []
    for name, values in columns.items():
        kind = arrow_type(features[name])
        fields.append(pyarrow.field(name, kind))
        if features[name]['dtype'] in ('image', 'language'):
            arrays.append(pyarrow.array(values, kind))
        elif pyarrow.types.is_fixed_size_list(kind):
            flat = pyarrow.array(np.asarray(values).reshape(-1), kind.value_type)
            arrays.append(pyarrow.FixedSizeListArray.from_arrays(flat, kind.list_size))
        else:
            arrays.append(pyarrow.array(np.asarray(values).reshape(len(values)), kind))
    return pyarrow.table(arrays, schema=pyarrow.schema(fields))


class DataTables:
    """Writes the tables of episodes, one after another, into the files of a dataset."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._file = -1

    def add(self, table: Any) -> dict[str, int]:
        """Append an episode; returns its place for meta/episodes."""
        import pyarrow.parquet

        if self._writer is None or self._path().stat().st_size > DATA_MB * 1e6:
            self.close()
            self._file += 1
            self._path().parent.mkdir(parents=True, exist_ok=True)
            self._writer = pyarrow.parquet.ParquetWriter(self._path(), table.schema)
        self._writer.write_table(table)
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        return {'data/chunk_index': chunk, 'data/file_index': file}

    def close(self) -> None:
        """Complete the last file."""
        if self._writer is not None:
            self._writer.close()

    def _path(self) -> Path:
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        return self._folder / DATA_PATH.format(chunk_index=chunk, file_index=file)
