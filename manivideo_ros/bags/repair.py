"""`manivideo repair`: rewrites a truncated or damaged bag as a complete one."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from manivideo_ros.bags.bag import BagError, BagReader, BagWriter
from manivideo_ros.bags.copying import copied
from manivideo_ros.bags.folder import METADATA
from manivideo_ros.bags.provenance import KEY, Maker, text_of

WORK = '.repair'
KEPT = '.cut'


def repair(folder: Path) -> int | None:
    """Write a bag again from its readable messages; their count, None if the bag was complete.

    The original files are kept in the folder with `.cut` appended to their names. Raises BagError,
    OSError, and leaves the bag as it was.
    """
    if not folder.is_dir():
        raise BagError(f'{folder}: give the folder of a bag')
    reader = BagReader(folder)
    if not reader.notes:
        return None
    work = folder / WORK / folder.resolve().name
    shutil.rmtree(folder / WORK, ignore_errors=True)
    count, maker = 0, Maker()
    try:
        with BagWriter(work, reader.custom_data) as bag:
            for message in copied(reader, bag):
                maker.take(message.type_name, message.data)
                count += 1
            if KEY not in bag.custom_data and (maker.provenance or not reader.accounted):
                # Without it, provenance_of would return that nothing is synthetic.
                bag.custom_data[KEY] = maker.provenance or text_of({'synthetic': None})
        metadata = [file for file in (folder / METADATA,) if file.is_file()]
        for file in [*reader.files, *reader.empty, *metadata]:
            file.replace(file.with_name(file.name + KEPT))
        for file in work.iterdir():
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(folder / WORK, ignore_errors=True)
    (folder / '.reserve').unlink(missing_ok=True)
    return count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for a bag that cannot be repaired."""
    parser = argparse.ArgumentParser(prog='manivideo repair', description=__doc__)
    parser.add_argument('bags', nargs='+', type=Path, help='folder of a bag')
    for bag in parser.parse_args(arguments).bags:
        try:
            count = repair(bag)
        except (ValueError, OSError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 2
        if count is None:
            print(f'{bag}: is complete')
        else:
            print(f'{bag}: {count} messages; the original files end in {KEPT}')
    return 0
