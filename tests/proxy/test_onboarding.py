import pytest

from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.proxy.onboarding import OWN_HOST, CaFiles, Onboarding


@pytest.fixture
def site() -> Onboarding:
    made = Onboarding(
        CaFiles(
            pem=b"the pem",
            der=b"the der",
            mobileconfig=lambda: b"the profile",
            fingerprint="AB:CD",
        )
    )
    made.listen = "127.0.0.1:4321"
    return made


def ask(site: Onboarding, path: str, authority: str = OWN_HOST) -> Response:
    return site.answer(
        Request(
            method="GET",
            scheme="http",
            host=OWN_HOST,
            port=80,
            target=path.encode(),
            authority=authority,
            version="HTTP/1.1",
            headers=Headers(),
        )
    )


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/ca.pem", b"the pem"),
        ("/ca.pem?again", b"the pem"),
        ("/ca.cer", b"the der"),
        ("/ca.mobileconfig", b"the profile"),
    ],
)
def test_the_certificate_in_every_form(
    site: Onboarding, path: str, content: bytes
) -> None:
    answer = ask(site, path)

    assert answer.status == 200
    assert answer.body.content == content


@pytest.mark.parametrize("path", ["/ca.key", "/ca.pem/", "/../ca.key", "/CA.PEM", "*"])
def test_nothing_else_is_there(site: Onboarding, path: str) -> None:
    answer = ask(site, path)

    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_the_page_shows_the_real_address_and_fingerprint(site: Onboarding) -> None:
    content = ask(site, "/").body.content or b""

    assert b"http://127.0.0.1:4321" in content
    assert b"AB:CD" in content
    assert b'href="http://int3rceptor.local/ca.pem"' in content


def test_the_dot_of_the_root_makes_no_other_site_of_it(site: Onboarding) -> None:
    content = ask(site, "/", f"{OWN_HOST}.").body.content or b""

    assert b"this proxy" in content
    assert b"not a web server" not in content


@pytest.mark.parametrize("authority", ["127.0.0.1:4321", ""])
def test_visited_directly_its_links_need_no_proxy(
    site: Onboarding, authority: str
) -> None:
    answer = ask(site, "/", authority)
    content = answer.body.content or b""

    assert answer.status == 200
    assert b'href="/ca.pem"' in content
    assert OWN_HOST.encode() not in content
    assert b"This is a proxy" in content
