from int3rceptor.model.flow import ClientInfo
from int3rceptor.proxy.limits import MAX_CONNECTED_HOSTS
from int3rceptor.proxy.session import Session


def session() -> Session:
    return Session(client=ClientInfo(address=("127.0.0.1", 1)))


def test_who_was_admitted_is_remembered_per_host_and_port() -> None:
    one = session()
    one.admit("a.test", 80)

    assert one.is_admitted("a.test", 80)
    assert not one.is_admitted("a.test", 81)
    assert not one.is_admitted("b.test", 80)


def test_sessions_share_nothing() -> None:
    session().admit("a.test", 80)

    assert not session().is_admitted("a.test", 80)


def test_the_oldest_is_forgotten_past_the_limit() -> None:
    one = session()
    for number in range(MAX_CONNECTED_HOSTS + 1):
        one.admit(f"{number}.test", 80)

    assert not one.is_admitted("0.test", 80)
    assert one.is_admitted("1.test", 80)
    assert one.is_admitted(f"{MAX_CONNECTED_HOSTS}.test", 80)
