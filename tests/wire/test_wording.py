"""What messages quote of what was received."""

import pytest

from int3rceptor.wire.wording import MAX_QUOTED_BYTES, quoted


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        (b"example.com:443", "example.com:443"),
        (b"me:s3cret@example.com", "***@example.com"),
        (b"http://me:s3cret@example.com/path", "http://***@example.com/path"),
        (b"ftp://me:s3@cret@example.com", "ftp://***@example.com"),
        (b"http://me:s3?cret@example.com/", "http://***"),
        (b"http://example.com/?token=s3cret", "http://example.com/"),
        (b"http://example.com/?token=s3cret&mail=a@example.com", "http://***"),
        (b"GET http://me:s3cret@a/?b HTTP/9", "***@a/"),
        (b"a" * 200, "a" * MAX_QUOTED_BYTES),
        (b"\x1b[31m\xff", "\\x1b[31m\\udcff"),
    ],
)
def test_nothing_secret_is_quoted(received: bytes, shown: str) -> None:
    assert quoted(received) == f"'{shown}'"
