"""Command lines that are plain to read, without Typer.

Typer takes longer to load than most commands take to answer, and 9 MB. What is not
plain (help, an unknown flag, a value that is missing) is left to it: it says what is
wrong, and what there is.
"""

from collections.abc import Iterator, Mapping, Sequence

NO_FLAG = ""
"""In place of a flag's spelling: the word stands by itself."""


class NotPlainError(ValueError):
    """A command line that Typer must read."""


def pairs(
    words: Sequence[str], takes_value: Mapping[str, bool]
) -> Iterator[tuple[str, str]]:
    """Each flag with its value, "" for a switch; NO_FLAG with each other word.

    `takes_value` has every flag's spelling. Raises NotPlainError.
    """
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            yield NO_FLAG, word
            continue
        # Of a short flag the sign would be the value's first character.
        spelling, equals, value = (
            word.partition("=") if word[:2] == "--" else (word, "", "")
        )
        wants = takes_value.get(spelling)
        if wants is None or (equals and not wants):
            raise NotPlainError(word)
        if wants and not equals:
            value = next(rest, "-")
            if value.startswith("-"):
                raise NotPlainError(word)
        yield spelling, value
