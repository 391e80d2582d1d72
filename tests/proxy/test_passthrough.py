import pytest

from int3rceptor.proxy.passthrough import is_passed_through


@pytest.mark.parametrize(
    ("pattern", "host", "port", "passes"),
    [
        ("a.test", "a.test", 443, True),
        ("a.test", "A.TEST", 443, True),
        ("A.test", "a.test", 443, True),
        ("a.test", "a.test.", 443, True),
        ("a.test", "b.a.test", 443, False),
        ("a.test", "a.test.evil", 443, False),
        ("*.a.test", "b.a.test", 443, True),
        ("*.a.test", "c.b.a.test", 443, True),
        ("*.a.test", "a.test", 443, False),
        ("*.a.test", "ba.test", 443, False),
        ("a.test:8443", "a.test", 8443, True),
        ("a.test:8443", "a.test", 443, False),
        ("*:8443", "anything", 8443, True),
        ("*", "anything", 1, True),
        ("192.0.2.*", "192.0.2.7", 443, True),
        ("[::1]", "::1", 443, True),
        ("[::1]:443", "::1", 443, True),
        ("[::1]:443", "::1", 8443, False),
        ("[2001:db8::*]", "2001:db8::5:6", 443, True),
    ],
)
def test_pattern(pattern: str, host: str, port: int, passes: bool) -> None:
    assert is_passed_through((pattern,), (host,), port) is passes


def test_any_pattern_and_any_name_will_do() -> None:
    assert is_passed_through(("a", "b"), ("x", "b"), 443)
    assert is_passed_through(("a",), (None, "a"), 443)
    assert not is_passed_through(("a",), (None,), 443)
    assert not is_passed_through(("a",), ("",), 443)
    assert not is_passed_through((), ("a",), 443)
