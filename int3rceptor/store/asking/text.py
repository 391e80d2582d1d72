"""Searches flows whose words are in no index yet, by the index's own rules."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from msgspec.structs import replace

from int3rceptor.store.database.schema import TOKENIZER
from int3rceptor.store.database.search import match_expression, text_of
from int3rceptor.store.records import BodyRecord, FlowRecord


@dataclass(slots=True, frozen=True, kw_only=True)
class TextMatcher:
    """Finds flows by `text` in the words that `search` would index of them.

    A body whose beginning went ahead of its record counts only when it was joined.
    """

    text: str

    def filter(self, records: Iterator[FlowRecord]) -> Iterator[FlowRecord]:
        """The records that have the text, as they come."""
        wanted = match_expression(self.text)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as words:
            words.execute(
                f'CREATE VIRTUAL TABLE one USING fts5 (text, tokenize = "{TOKENIZER}")'
            )
            for record in records:
                words.execute("INSERT INTO one VALUES (?)", (text_of(_seen(record)),))
                query = "SELECT 1 FROM one WHERE one MATCH ?"
                if words.execute(query, (wanted,)).fetchone():
                    yield record
                words.execute("DELETE FROM one")


def _seen(record: FlowRecord) -> FlowRecord:
    """Without bodies of which only the end is here: it would not decode."""
    return replace(
        record,
        request_body=_from_start(record.request_body),
        response_body=_from_start(record.response_body),
    )


def _from_start(body: BodyRecord) -> BodyRecord:
    return replace(body, content=b"") if body.ahead else body
