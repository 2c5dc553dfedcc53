"""Plain setuptools; the interfaces and the lab's installation are CMakeLists.txt's work."""

from xml.etree import ElementTree

from setuptools import find_packages, setup

MANIFEST = ElementTree.parse('package.xml')

setup(
    name='manivideo_ros',
    version=MANIFEST.findtext('version'),
    description='Pose topics in, hand-object video out, streamed over ROS 2',
    license='Apache-2.0',
    python_requires='>=3.11',
    classifiers=[
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.14',
    ],
    packages=find_packages(include=['manivideo_ros', 'manivideo_ros.*']),
    package_data={'manivideo_ros': ['assets/**/*']},
    extras_require={
        'training': ['tensorboard'],
        'tensorrt': ['tensorrt'],  # gigabytes, from its maker's own index
        'tensorrt-rtx': ['tensorrt-rtx'],
        'ray': ['ray'],
        'lerobot': ['pandas', 'pyarrow'],
        'robomimic': ['h5py'],
        'urdf': ['yourdfpy'],
        'retargeting': ['dex-retargeting'],
    },
    entry_points={
        'console_scripts': [
            'manivideo = manivideo_ros.cli:main',
            'motion_player = manivideo_ros.nodes.motion_player:main',
            'synthesizer = manivideo_ros.nodes.synthesizer_node:main',
            'recorder = manivideo_ros.nodes.recorder:main',
            'hand_source = manivideo_ros.nodes.hand_source:main',
            'object_source = manivideo_ros.nodes.object_source:main',
            'virtual_camera = manivideo_ros.nodes.virtual_camera:main',
            'viewer = manivideo_ros.nodes.viewer:main',
            'webcam = manivideo_ros.nodes.webcam:main',
            'augmenter = manivideo_ros.nodes.augmenter:main',
        ]
    },
)
