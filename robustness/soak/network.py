"""Network and shared-memory namespaces of a run, so that faults do not affect other processes."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
OWN = False


def isolate() -> bool:
    """Move this process and its children into a separate network and /dev/shm.

    Returns whether that was permitted. Call it before creating participants or threads.
    """
    global OWN
    libc = ctypes.CDLL(None, use_errno=True)
    OWN = libc.unshare(CLONE_NEWNET | CLONE_NEWNS) == 0
    if OWN:
        libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None)
        libc.mount(b'tmpfs', b'/dev/shm', b'tmpfs', 0, None)
        set_loopback(True)
    return OWN


def set_loopback(up: bool) -> None:
    """Take the loopback interface up or down. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack('16sh14x', b'lo', 0)
        flags = struct.unpack('16sh14x', fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack('16sh14x', b'lo', flags))
