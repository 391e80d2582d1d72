"""Rule files that change, break and appear while the proxy runs."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support.asking import ask_secure
from tests.support.clients import h2_client
from tests.support.h1_peer import response
from tests.support.nginx import SMALL, Nginx
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.patience import PATIENT_S
from tests.support.process import run_once
from tests.support.ruling import block_rule, rules_file


def change_rules(path: Path, text: str) -> None:
    """As editors do: another file takes the name."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


async def test_changes_count_while_traffic_passes(
    start_proxy: StartProxy, tmp_path: Path, nginx: Nginx
) -> None:
    path = rules_file(tmp_path, block_rule("b", "elsewhere.test"))
    proxy = start_proxy("--rules", path)

    async with h2_client(proxy, nginx.h2) as client:

        async def ask_until(status: int) -> None:
            """Meanwhile every answer is a whole one, of the old rules or the new."""
            async with asyncio.timeout(PATIENT_S):
                while True:
                    stream = await client.request("GET", nginx.h2, "/small.txt?live")
                    assert stream.status in (200, 403)
                    assert stream.status == 403 or bytes(stream.body) == SMALL
                    if stream.status == status:
                        return

        await ask_until(200)
        change_rules(path, block_rule("b", "localhost"))
        await ask_until(403)
        change_rules(path, "[[rules]]\nname = 'b'\nblok = true\n")
        proxy.wait_for_line(rf"{path}:3: blok: no such key \(did you mean block\?\)")
        await ask_until(403)
        change_rules(path, "")
        await ask_until(200)

    told = [line for line in proxy.stderr if "no such key" in line]
    assert len(told) == 1
    assert "still in force: the rules of before, 1" in told[0]


async def test_a_rule_dropped_into_the_folder_counts(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    proxy = start_proxy()

    async with AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin:
        assert (await ask_secure(proxy, origin.netloc)).status == 200
        rule = block_rule("late", "localhost")
        write_into(proxy.data_dir / "rules", "late.toml", rule)
        proxy.wait_for_line(r"rules in force: 1 \(files: 1\)")

        assert (await ask_secure(proxy, origin.netloc)).status == 403


def write_into(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


@pytest.mark.parametrize("where", ["named", "folder"])
def test_a_start_with_a_mistake_is_refused(tmp_path: Path, where: str) -> None:
    data = tmp_path / "data"
    path = tmp_path / "r.toml" if where == "named" else data / "rules" / "r.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[[rules]]\nname = 'a'\nmatch = { hots = 'a' }\ntag = 't'\n")
    arguments: list[str | Path] = ["--listen", "127.0.0.1:0", "--data-dir", data]
    if where == "named":
        arguments += ["--rules", path]

    ended = run_once(tmp_path, arguments)

    assert ended.returncode == 2
    assert f"{path}:3: match.hots: no such key (did you mean host?)" in ended.stderr
    assert "Traceback" not in ended.stderr
