"""The first fault of a stored frame, down to a wrong code in its compressed part.

libjpeg goes on after a wrong code, with grey blocks and no error that Python sees. Here the codes
are read one by one, which takes some 0.1 s a frame: for the frames of one video that is known to
differ.
"""

from collections.abc import Iterator

Table = dict[tuple[int, int], int]  # (length of a code in bits, code) -> symbol
SOF, DHT, SOS, DRI = 0xC0, 0xC4, 0xDA, 0xDD


class _Fault(Exception):
    pass


def fault(jpeg: bytes) -> str:
    """Return the first fault of a baseline JPEG without restarts; empty where there is none."""
    try:
        _check(jpeg)
    except _Fault as found:
        return str(found)
    except (IndexError, KeyError, ValueError, ZeroDivisionError):
        return "a header is damaged"
    return ""


def _check(jpeg: bytes) -> None:
    if jpeg[:2] != b"\xff\xd8" or jpeg[-2:] != b"\xff\xd9":
        raise _Fault("it is no whole JPEG")
    tables: dict[int, Table] = {}
    units: dict[int, int] = {}  # of each component, in one group
    groups, at = 0, 2
    while True:
        if jpeg[at] != 0xFF:
            raise _Fault(f"no marker at byte {at}")
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        body = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == DHT:
            tables |= _tables(body)
        elif marker == SOF:
            units, groups = _shape(body)
        elif marker == DRI and int.from_bytes(body):
            return  # restarts: codes are not followed
        elif marker == SOS:
            break
    used = {body[1 + 2 * c]: body[2 + 2 * c] for c in range(body[0])}
    scan = jpeg[at:-2].replace(b"\xff\x00", b"\xff")
    bits = _Bits(scan)
    order = [used[c] for c, count in units.items() for _ in range(count)]
    for _ in range(groups):
        for chosen in order:
            _unit(bits, tables[chosen >> 4], tables[0x10 | chosen & 15])
    if len(scan) * 8 - bits.at >= 16:
        raise _Fault("it goes on after its last block")


class _Bits:
    def __init__(self, content: bytes) -> None:
        self.size, self.at = len(content) * 8, 0
        self._content = content

    def symbol(self, table: Table) -> int:
        code = 0
        for length in range(1, 17):
            code = code << 1 | self._bit()
            found = table.get((length, code))
            if found is not None:
                return found
        raise _Fault(f"a wrong code at bit {self.at}")

    def skip(self, bits: int) -> None:
        self.at += bits
        if self.at > self.size:
            raise _Fault("it ends before its last block")

    def _bit(self) -> int:
        if self.at >= self.size:
            raise _Fault("it ends before its last block")
        bit = self._content[self.at >> 3] >> (7 - (self.at & 7)) & 1
        self.at += 1
        return bit


def _unit(bits: _Bits, first: Table, others: Table) -> None:
    """Read one block of 64 coefficients."""
    bits.skip(bits.symbol(first))
    place = 1
    while place < 64:
        symbol = bits.symbol(others)
        if symbol == 0:
            return
        place += (symbol >> 4) + 1
        bits.skip(symbol & 15)
    if place > 64:
        raise _Fault(f"a block with more than 64 numbers at bit {bits.at}")


def _tables(body: bytes) -> dict[int, Table]:
    found: dict[int, Table] = {}
    while body:
        counts, body_of = body[1:17], body[17:]
        found[body[0]] = dict(zip(_codes(counts), body_of, strict=False))
        body = body_of[sum(counts) :]
    return found


def _codes(counts: bytes) -> Iterator[tuple[int, int]]:
    code = 0
    for length, count in enumerate(counts, start=1):
        for _ in range(count):
            yield length, code
            code += 1
        code <<= 1


def _shape(body: bytes) -> tuple[dict[int, int], int]:
    """Return the blocks of each component in a group, and the number of groups."""
    height, width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    sides = {body[6 + 3 * c]: divmod(body[7 + 3 * c], 16) for c in range(body[5])}
    across, down = (8 * max(side[axis] for side in sides.values()) for axis in (0, 1))
    units = {name: side[0] * side[1] for name, side in sides.items()}
    return units, -(-height // down) * -(-width // across)
