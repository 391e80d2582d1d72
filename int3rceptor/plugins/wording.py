"""Text that a module brings, made fit to be shown: it drives no terminal and no log."""


def printable(text: str) -> str:
    """One line, in which control characters are spelled out."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


def shown(text: str, most: int) -> str:
    """The beginning of such a line."""
    line = printable(text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 1]}…"
