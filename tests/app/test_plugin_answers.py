"""The proxy's end of what is asked about plugins: what is asked too much, or breaks."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from int3rceptor.app import plugin_answers
from int3rceptor.app.plugin_answers import PluginAnswers
from int3rceptor.errors import PluginError
from int3rceptor.link.plugin_asks import (
    PluginAct,
    PluginAsk,
    PluginFailure,
    PluginTold,
)
from int3rceptor.link.plugin_reports import PluginSummary
from tests.support.patience import PATIENT_S

if TYPE_CHECKING:
    from int3rceptor.plugins.managing.service import PluginService


class Service:
    """Does what a test says; it has no plugin."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def list(self) -> list[PluginSummary]:
        return []

    async def reload(self, name: str) -> None:
        if self.failure is not None:
            raise self.failure
        await asyncio.Event().wait()


async def told(service: Service, *asks: PluginAsk) -> list[PluginTold]:
    """What is answered within a moment."""
    answers = PluginAnswers(cast("PluginService", service))
    got: list[PluginTold] = []
    for ask in asks:
        answers.take(ask, got.append)
    async with asyncio.timeout(PATIENT_S):
        while not got:  # noqa: ASYNC110  # a list tells nobody
            await asyncio.sleep(0.001)
    await answers.aclose()
    return got


async def test_too_much_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_answers, "MAX_RUNNING", 1)
    asks = [PluginAsk(number, PluginAct.RELOAD, "one") for number in (1, 2)]
    (answer,) = await told(Service(), *asks)
    assert (answer.number, answer.failure) == (2, PluginFailure.UNAVAILABLE)
    assert answer.why == "too much is asked of the proxy at once"


async def test_what_nobody_expected_is_logged_and_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service(RuntimeError("a defect"))
    (answer,) = await told(service, PluginAsk(1, PluginAct.RELOAD, "one"))
    assert answer.failure is PluginFailure.UNAVAILABLE
    assert "a defect" not in answer.why
    assert "internal error while asked to reload a plugin" in caplog.text


async def test_a_plugin_that_is_not_there_is_told_apart() -> None:
    service = Service(PluginError("there is no plugin named one"))
    (answer,) = await told(service, PluginAsk(1, PluginAct.RELOAD, "one"))
    assert answer.failure is PluginFailure.NOT_FOUND
    assert answer.why == "there is no plugin named one"


async def test_an_upload_that_has_gone_is_one_line(tmp_path: Path) -> None:
    ask = PluginAsk(1, PluginAct.UPLOAD, "one", str(tmp_path / "gone"))
    (answer,) = await told(Service(), ask)
    assert answer.failure is PluginFailure.REFUSED
    assert answer.why == "the upload cannot be read: No such file or directory"
