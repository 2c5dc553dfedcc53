"""Where the links of a robot are, from its URDF and the positions of its joints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Robot:
    """Forward kinematics of a URDF, by yourdfpy; meshes are not looked at.

    Raises ValueError for text that is no URDF, or where yourdfpy is not installed.
    """

    def __init__(self, urdf: str) -> None:
        try:
            import yourdfpy
        except ImportError:
            raise ValueError(
                'joint positions need yourdfpy: pip install "manivideo_ros[urdf]"'
            ) from None
        # yourdfpy reads on where XML is broken, and by a parser that follows entities.
        try:
            if '<!' in urdf.replace('<!--', '').replace('<![CDATA[', ''):
                raise ValueError('declarations of types and entities are not read')
            root = ElementTree.fromstring(urdf)
            if root.tag != 'robot':
                raise ValueError(f'its root is {root.tag!r}, not robot')
            self._robot = yourdfpy.URDF.load(
                BytesIO(urdf.encode()),
                build_scene_graph=True,
                load_meshes=False,
                build_collision_scene_graph=False,
                load_collision_meshes=False,
            )
        except Exception as error:  # yourdfpy raises what the fields happen to raise
            text = ' '.join(str(error).split()) or type(error).__name__
            raise ValueError(f'no URDF that can be read: {text}') from None
        self.root: str = self._robot.base_link
        self._above = {joint.child: joint for joint in self._robot.robot.joints}
        self.links = {link.name for link in self._robot.robot.links}

    def joints(self, links: Collection[str]) -> set[str]:
        """The joints whose positions decide where these links are.

        Raises ValueError naming a link that the robot does not have.
        """
        out: set[str] = set()
        for link in links:
            if link not in self.links:
                raise ValueError(f'{link!r} is no link of the robot {self._robot.robot.name!r}')
            at = link
            while at in self._above:
                joint = self._above[at]
                if joint.type in ('revolute', 'continuous', 'prismatic'):
                    out.add(joint.name if joint.mimic is None else joint.mimic.joint)
                at = joint.parent
        return out

    def poses(self, positions: Mapping[str, float], links: Collection[str]) -> dict[str, Array]:
        """root_from_link [4, 4] by link; positions in rad and m by joint, those left out at 0."""
        known = self._robot.actuated_joint_names
        self._robot.update_cfg({name: float(positions.get(name, 0.0)) for name in known})
        return {link: np.asarray(self._robot.get_transform(link)) for link in links}
