import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.cli.output.escaping import printable, without_surrogates


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/plain?q=1", "/plain?q=1"),
        ("/grün/日本", "/grün/日本"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("a\r\nb\tc\x7f", r"a\r\nb\tc\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", r"\u2028"),
        (b"\x80\xff".decode("utf-8", "surrogateescape"), r"\x80\xff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_drives_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_any_text_comes_out_printable_and_encodable(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode()


@given(st.text(st.characters(codec=None)))
def test_only_surrogates_are_taken_out(text: str) -> None:
    clean = without_surrogates(text)

    clean.encode()
    if not any("\ud800" <= one <= "\udfff" for one in text):
        assert clean == text
