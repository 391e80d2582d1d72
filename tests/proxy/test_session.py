from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.flow import ClientInfo
from int3rceptor.proxy.limits import MAX_CONNECTED_HOSTS
from int3rceptor.proxy.session import Session


def session() -> Session:
    return Session(client=ClientInfo(address=("127.0.0.1", 1)))


def test_what_on_connect_said_is_remembered_per_host_and_port() -> None:
    one = session()
    one.remember_connect("a.test", 80, Drop("no"))
    one.remember_connect("b.test", 80, None)

    assert one.connect_verdict("a.test", 80) == (True, Drop("no"))
    assert one.connect_verdict("b.test", 80) == (True, None)
    assert one.connect_verdict("a.test", 81) == (False, None)


def test_sessions_share_nothing() -> None:
    session().remember_connect("a.test", 80, Drop())

    assert session().connect_verdict("a.test", 80) == (False, None)


def test_the_oldest_is_forgotten_past_the_limit() -> None:
    one = session()
    for number in range(MAX_CONNECTED_HOSTS + 1):
        one.remember_connect(f"{number}.test", 80, Drop())

    assert one.connect_verdict("0.test", 80) == (False, None)
    assert one.connect_verdict("1.test", 80) == (True, Drop())
    assert one.connect_verdict(f"{MAX_CONNECTED_HOSTS}.test", 80) == (True, Drop())
