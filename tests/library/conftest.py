from pathlib import Path

import pytest

from int3rceptor import Config, LimitsConfig
from tests.support.origin_tls import OriginTls
from tests.support.ways import WAYS, Way


@pytest.fixture(scope="session")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origins"))


@pytest.fixture(autouse=True)
def no_system_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own roots play no part, and take 50 ms a time to load."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
def config(tmp_path: Path, origin_tls: OriginTls) -> Config:
    return Config(
        listen="127.0.0.1:0",
        data_dir=tmp_path / "data",
        upstream_ca=(origin_tls.ca,),
        limits=LimitsConfig(drain_s=2.0),
    )
