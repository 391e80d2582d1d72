"""Records as they can be encoded: strings without lone surrogates. Pure."""

from typing import TypeVar

import msgspec

Record = TypeVar("Record", bound=msgspec.Struct)


def with_plain_text(record: Record) -> Record:
    """`record` with the surrogates in its strings written as escapes (`\\udcff`)."""
    changes = {
        name: _plain(value) for name, value in msgspec.structs.asdict(record).items()
    }
    return msgspec.structs.replace(record, **changes)


def _plain(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case tuple():
            return tuple(map(_plain, value))
        case list():
            return list(map(_plain, value))
        case msgspec.Struct():
            return with_plain_text(value)
        case _:
            return value
