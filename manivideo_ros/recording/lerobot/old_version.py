"""Joins episodes to a LeRobot dataset v2.1, for training code of before lerobot 0.4."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from manivideo_ros.recording.lerobot.features import FILES_PER_CHUNK
from manivideo_ros.recording.lerobot.writer import LeRobotWriter

OLD = 'v2.1'
EPISODE = 'chunk-{episode_chunk:03d}/episode_{episode_index:06d}'
DATA_PATH = f'data/{EPISODE}.parquet'
VIDEO_PATH = 'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4'


class OldLeRobotWriter(LeRobotWriter):
    """As LeRobotWriter, with a table and a video per episode, and JSON lines in meta/."""

    def _add_files(self, table: Any, folder: Path, number: int) -> dict[str, Any]:
        import pyarrow.parquet

        at = {'episode_chunk': number // FILES_PER_CHUNK, 'episode_index': number}
        for key in [None, *self.video_keys]:
            path = DATA_PATH if key is None else VIDEO_PATH.replace('{video_key}', key)
            target = self.folder / path.format(**at)
            target.parent.mkdir(parents=True, exist_ok=True)
            if key is None:
                pyarrow.parquet.write_table(table, target)
            else:
                shutil.move(folder / f'{key}.mp4', target)
        return {}

    def _complete(self, meta: Path) -> None:
        def write(name: str, rows: list[dict[str, Any]]) -> None:
            (meta / f'{name}.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))

        write('tasks', [{'task_index': n, 'task': task} for task, n in self._tasks.items()])
        kept = ('episode_index', 'tasks', 'length')
        write('episodes', [{name: row[name] for name in kept} for row in self._rows])
        write('episodes_stats', [
            {
                'episode_index': number,
                'stats': {
                    feature: {name: value.tolist() for name, value in own.items()}
                    for feature, own in figures.items()
                },
            }
            for number, figures in enumerate(self._figures)
        ])  # fmt: skip

    def _info(self) -> dict[str, Any]:
        count = len(self._rows)
        info = super()._info() | {
            'codebase_version': OLD,
            'total_videos': count * len(self.video_keys),
            'total_chunks': -(-count // FILES_PER_CHUNK),
            'data_path': DATA_PATH,
            'video_path': VIDEO_PATH if self.video_keys else None,
        }
        return {n: v for n, v in info.items() if not n.endswith('_size_in_mb')}
