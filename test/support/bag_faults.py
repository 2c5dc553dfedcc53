"""Bags as power losses, other recorders and `ros2 bag reindex` leave them, of any whole bag."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
import zstandard

from manivideo_ros.bags.bag import BagReader, BagWriter

NAMES = 'numbered', 'timed'


def split(source: Path, folder: Path, parts: int, names: str = 'numbered') -> list[Path]:
    """The bag's messages as that many files, and the metadata that rosbag2 writes of them.

    names: `numbered` as up to Kilted, or `timed` as later (rosbag2 PR 2265). The files.
    """
    reader = BagReader(source)
    messages = list(reader.messages())
    size = -(-len(messages) // parts)
    folder.mkdir()
    files, written = [], []
    for n in range(parts):
        own = folder / f'part{n}'
        with BagWriter(own, reader.custom_data) as bag:
            for topic, connection in reader.connections.items():
                bag.copy_topic(topic, connection)
            for message in messages[n * size : (n + 1) * size]:
                bag.write(message.topic, message.data, message.stamp_ns, message.published_ns)
        name = f'{folder.name}_{n}' if names == 'numbered' else f'{n}_{folder.name}_20261128_1{n}'
        files.append(bag.file.rename(folder / f'{name}.mcap'))
        written.append(yaml.safe_load((own / 'metadata.yaml').read_text()))
        shutil.rmtree(own)
    info = written[-1]['rosbag2_bagfile_information']
    info['relative_file_paths'] = [file.name for file in files]
    info['files'] = [
        {**w['rosbag2_bagfile_information']['files'][0], 'path': file.name}
        for w, file in zip(written, files, strict=True)
    ]
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(written[-1]))
    return files


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the metadata."""
    file = folder / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    edit(content['rosbag2_bagfile_information'])
    file.write_text(yaml.safe_dump(content))


def reindexed(folder: Path) -> None:
    """As `ros2 bag reindex` of Humble leaves the metadata."""
    change(folder, lambda info: info.update(storage_identifier='', custom_data=None, ros_distro=''))


def compressed(folder: Path, files: Sequence[Path]) -> None:
    """As `ros2 bag record --compression-mode file` leaves the files."""
    for file in files:
        packed = zstandard.ZstdCompressor().compress(file.read_bytes())
        file.with_name(f'{file.name}.zstd').write_bytes(packed)
        file.unlink()
    change(
        folder,
        lambda info: info.update(
            compression_mode='FILE',
            compression_format='zstd',
            relative_file_paths=[f'{file.name}.zstd' for file in files],
        ),
    )


def compressed_messages(source: Path, folder: Path) -> None:
    """As `ros2 bag record --compression-mode message` records it."""
    reader = BagReader(source)
    with BagWriter(folder, reader.custom_data) as bag:
        for topic, connection in reader.connections.items():
            bag.copy_topic(topic, connection)
        for message in reader.messages():
            data = zstandard.ZstdCompressor().compress(message.data)
            bag.write(message.topic, data, message.stamp_ns, message.published_ns)
    change(folder, lambda info: info.update(compression_mode='MESSAGE', compression_format='zstd'))
