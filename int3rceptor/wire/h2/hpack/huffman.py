"""The Huffman code of HPACK (RFC 7541, 5.2 and appendix B). It knows no header fields.

The code is canonical: symbols of one length have consecutive codes in the order of
their values, and shorter codes come first. So the lengths alone define it.

Decoding goes byte by byte through states: a state is the beginning of a code that the
bytes so far left over, and says for each next byte which symbols that completes and
which state follows. A state's row is made when it is first entered.
"""

_BY_LENGTH = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\0$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: bytes.fromhex("80 82 83 a2 b8 c2 e0 e2"),
    21: bytes.fromhex("99 a1 a7 ac b0 b1 b3 d1 d8 d9 e3 e5 e6"),
    22: bytes.fromhex(
        "81 84 85 86 88 92 9a 9c a0 a3 a4 a9 aa ad b2 b5 b9 ba bb bd be c4 c6 e4 e8 e9"
    ),
    23: bytes.fromhex(
        "01 87 89 8a 8b 8c 8d 8f 93 95 96 97 98 9b 9d 9e a5 a6 a8 ae af b4 b6 b7 bc bf"
        "c5 e7 ef"
    ),
    24: bytes.fromhex("09 8e 90 91 94 9f ab ce d7 e1 ec ed"),
    25: bytes.fromhex("c7 cf ea eb"),
    26: bytes.fromhex("c0 c1 c8 c9 ca cd d2 d5 da db ee f0 f2 f3 ff"),
    27: bytes.fromhex("cb cc d3 d4 d6 dd de df f1 f4 f5 f6 f7 f8 fa fb fc fd fe"),
    28: bytes.fromhex(
        "02 03 04 05 06 07 08 0b 0c 0e 0f 10 11 12 13 14 15 17 18 19 1a 1b 1c 1d 1e 1f"
        "7f dc f9"
    ),
    30: bytes.fromhex("0a 0d 16"),
}
"""The symbols by the number of bits of their codes. The last code, 30 ones, is EOS."""

MAX_PADDING_BITS = 7
"""Padding is the beginning of EOS, and less than a byte."""

_Step = tuple[bytes, int]
"""The symbols that a byte completes, and the state after it."""


def _codes() -> dict[str, bytes]:
    """Each code as text of 0 and 1, with its symbol; EOS is not there."""
    codes = {}
    code = length = 0
    for bits, symbols in _BY_LENGTH.items():
        code <<= bits - length
        length = bits
        for symbol in symbols:
            codes[f"{code:0{bits}b}"] = bytes((symbol,))
            code += 1
    return codes


_SYMBOLS = _codes()
_CODES = {symbol[0]: code for code, symbol in _SYMBOLS.items()}


class _States:
    """The rows that were needed so far: 256 at most, one for each beginning of a code
    (EOS among them), and 256 steps in each."""

    def __init__(self) -> None:
        beginnings = {code[:size] for code in _SYMBOLS for size in range(len(code))}
        beginnings |= {"1" * size for size in range(30)}
        self._beginnings = sorted(beginnings, key=lambda one: (len(one), one))
        self._numbers = {one: number for number, one in enumerate(self._beginnings)}
        self.rows: list[list[_Step | None]] = [[] for _ in self._beginnings]
        self.ends = frozenset(
            self._numbers["1" * size] for size in range(MAX_PADDING_BITS + 1)
        )

    def enter(self, state: int) -> list[_Step | None]:
        """The row of a state; None in it where a byte cannot follow."""
        row = self.rows[state]
        if not row:
            beginning = self._beginnings[state]
            row += [self._step(f"{beginning}{byte:08b}") for byte in range(256)]
        return row

    def _step(self, bits: str) -> _Step | None:
        found = b""
        start = 0
        for end in range(1, len(bits) + 1):
            symbol = _SYMBOLS.get(bits[start:end])
            if symbol is not None:
                found += symbol
                start = end
        state = self._numbers.get(bits[start:])
        return None if state is None else (found, state)


_states = _States()


def decode(data: bytes) -> bytes | None:
    """The text of a coded string; None when it is broken: EOS inside, or padding that
    is too long or not all ones."""
    enter = _states.enter
    rows = _states.rows
    found = []
    state = 0
    for byte in data:
        step = (rows[state] or enter(state))[byte]
        if step is None:
            return None
        symbols, state = step
        found.append(symbols)
    return b"".join(found) if state in _states.ends else None


def encode(text: bytes) -> bytes:
    """The coded string for a text."""
    bits = "".join([_CODES[byte] for byte in text])
    size = (len(bits) + 7) // 8
    return int(bits.ljust(8 * size, "1") or "0", 2).to_bytes(size, "big")
