"""Makes text from strangers safe to print: a URL must not drive the terminal."""


def printable(text: str) -> str:
    """`text` on one line, without control, direction or undecodable characters.

    What cannot be printed is shown escaped: ESC as \\x1b, a line end as \\n, and a byte
    that was no UTF-8 as \\x80.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def without_surrogates(text: str) -> str:
    """`text` with what stands for undecodable bytes escaped, all else untouched."""
    return "".join(
        _escaped(one) if "\ud800" <= one <= "\udfff" else one for one in text
    )


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        # One byte that `to_text` could not decode.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
