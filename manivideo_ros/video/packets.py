"""What a packet of H.264 holds, without decoding it (ITU-T H.264, sections 7.3 and annex B)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SLICE, KEY_SLICE, SEQUENCE = 1, 5, 7  # nal_unit_type
START = b'\0\0\1'
HEAD = 64  # bytes of a unit that are read: the fields below lie in its first 30
# profile_idc of the profiles whose sequence parameters name a chroma format.
HIGH = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}


@dataclass(frozen=True)
class Sequence:
    """Fields of the sequence parameters that number the frames.

    numbers: frame numbers count modulo this; gaps: whether numbers may be left out; planes: whether
    each colour is coded by itself.
    """

    numbers: int
    gaps: bool
    planes: bool


@dataclass(frozen=True)
class Packet:
    """The content of one packet.

    key: whether it can be decoded by itself; number: its frame number, None without an image;
    sequence: parameters that hold from here on.
    """

    key: bool
    number: int | None
    sequence: Sequence | None


def units(data: bytes) -> Iterator[bytes]:
    """The first bytes of each unit in Annex B's byte stream, without start codes."""
    at = data.find(START)
    while at >= 0:
        after = data.find(START, at + 3)
        yield data[at + 3 : min(at + 3 + HEAD, len(data) if after < 0 else after)]
        at = after


def is_key(data: bytes) -> bool:
    """Whether a packet holds an image that can be decoded by itself."""
    kinds = {unit[0] & 31 for unit in units(data) if unit}
    return {KEY_SLICE, SEQUENCE} <= kinds


def read_packet(data: bytes, sequence: Sequence | None = None) -> Packet:
    """What a packet holds; sequence: the parameters of earlier packets.

    Raises ValueError for bytes that are no H.264 in Annex B's format.
    """
    kinds, number = set(), None
    try:
        for unit in units(data):
            kind = unit[0] & 31
            kinds.add(kind)
            if kind == SEQUENCE:
                sequence = _sequence(unit)
            elif kind in (SLICE, KEY_SLICE) and number is None and sequence is not None:
                number = _number(unit, sequence)
    except IndexError:
        raise ValueError('is cut off or damaged: record it again') from None
    if not kinds:
        raise ValueError('is no H.264 in the Annex B format, which begins with 00 00 01')
    return Packet({KEY_SLICE, SEQUENCE} <= kinds, number, sequence)


class _Bits:
    """Reads bits, and Exp-Golomb codes (section 9.1). Raises IndexError at the end."""

    def __init__(self, unit: bytes) -> None:
        self._data = unit[1:].replace(b'\0\0\3', b'\0\0')  # without emulation prevention
        self._at = 0

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._at // 8]
            value = 2 * value + (byte >> (7 - self._at % 8) & 1)
            self._at += 1
        return value

    def code(self) -> int:
        zeros = 0
        while not self.bits(1):
            zeros += 1
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        value = self.code()
        return (value + 1) // 2 if value % 2 else -value // 2


def _sequence(unit: bytes) -> Sequence:
    read = _Bits(unit)
    profile = read.bits(8)
    read.bits(16)  # constraints, level
    read.code()
    planes = False
    if profile in HIGH:
        chroma = read.code()
        planes = chroma == 3 and bool(read.bits(1))
        read.code()
        read.code()  # bit depths
        read.bits(1)
        if read.bits(1):
            for index in range(12 if chroma == 3 else 8):
                if read.bits(1):
                    _skip_scaling_list(read, 16 if index < 6 else 64)
    numbers = 1 << (read.code() + 4)
    order = read.code()
    if order == 0:
        read.code()
    elif order == 1:
        read.bits(1)
        read.signed()
        read.signed()
        for _ in range(read.code()):
            read.signed()
    read.code()
    return Sequence(numbers, bool(read.bits(1)), planes)


def _skip_scaling_list(read: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + read.signed()) % 256
        last = following or last


def _number(unit: bytes, sequence: Sequence) -> int:
    read = _Bits(unit)
    read.code()  # first macroblock
    read.code()  # slice type
    read.code()  # its parameter set
    if sequence.planes:
        read.bits(2)
    return read.bits(sequence.numbers.bit_length() - 1)
