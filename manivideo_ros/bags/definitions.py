"""The types of a bag's messages, by the definitions in it."""

from __future__ import annotations

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

from manivideo_ros.bags.bag import BagError, BagReader
from manivideo_ros.messages.types import UNSOUND


def typestore_of(reader: BagReader) -> Typestore:
    """The types of ROS 2 Jazzy and those that a bag defines.

    Raises BagError naming a type whose definition is invalid.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for found in reader.connections.values():
        if found.type_name not in store.fielddefs and found.encoding == 'ros2msg':
            # rosbags generates Python code from definitions in ROS's grammar only and runs it;
            # some of it is not valid Python (`1e999`).
            try:
                kinds = get_types_from_msg(found.definition.decode(), found.type_name)
                store.register({k: v for k, v in kinds.items() if k not in store.fielddefs})
            except (TypesysError, NameError, *UNSOUND):
                raise BagError(
                    f'{reader.path}: the definition of {found.type_name[:80]!r} is not one of '
                    'ROS 2: record it again'
                ) from None
    return store
