"""docs/cli.md names every flag, every JSON field, and no flag that is not there."""

import json
import re
from pathlib import Path

from int3rceptor.cli.given import METAVARS, spelling_of
from int3rceptor.cli.output.live import json_form
from tests.cli.test_live import a_flow

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def test_every_flag_of_run_has_its_row() -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)(?: ([^`]+))?` \|", DOCUMENT, re.MULTILINE)

    documented = {flag: metavar.replace("\\", "") for flag, metavar in rows}
    offered = {spelling_of(name): metavar for name, metavar in METAVARS.items()}
    assert documented == {**offered, "--config": "FILE"}


def test_every_json_field_has_its_row() -> None:
    table = DOCUMENT.partition("`exchange` and `tunnel`")[2].partition("`ready`")[0]
    cells = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)

    documented = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert documented | {"type"} == set(json.loads(json_form(a_flow())))
