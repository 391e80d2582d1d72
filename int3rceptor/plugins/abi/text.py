"""The table of host functions as the documentation prints it.

`python -m int3rceptor.plugins.abi.text docs/plugin-abi.md` writes it anew between the
page's two marks; a test holds that this was done.
"""

import sys
from pathlib import Path

from int3rceptor.plugins.abi.codes import INIT_EXPORT
from int3rceptor.plugins.abi.named_facts import FACTS
from int3rceptor.plugins.abi.rows import ALL_HOOKS, HostFunction
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.abi.wasi import WASI
from int3rceptor.plugins.policy.permissions import MEANINGS, SCOPED

BEGIN = "<!-- {}: written by int3rceptor.plugins.abi.text -->"
END = "<!-- {}: end -->"


def functions_table() -> list[str]:
    """Every host function, a line each."""
    head = ("signature", "it", "answers", "errors", "permission", "cost", "hooks")
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *map(_function_line, FUNCTIONS.values()),
    ]


def permissions_table() -> list[str]:
    """Every permission, a line each."""
    lines = ["| permission | allows to |", "|---|---|"]
    for one, meaning in MEANINGS.items():
        what = SCOPED.get(one)
        name = f"{one.value}:{what.upper()}" if what else one.value
        lines.append(f"| `{name}` | {meaning} |")
    return lines


def facts_table() -> list[str]:
    """Every fact, a line each."""
    lines = ["| fact | it is |", "|---|---|"]
    return lines + [f"| `{one.name}` | {one.means} |" for one in FACTS.values()]


def _function_line(row: HostFunction) -> str:
    errors = ", ".join(f"`{one.name}`" for one in row.errors) or "none"
    cells = (
        f"`{row.signature}`",
        row.does,
        row.returns,
        errors,
        _needed(row),
        row.cost,
        _hooks(row),
    )
    return f"| {' | '.join(cells)} |"


def _needed(row: HostFunction) -> str:
    points = row.hooks or (None,)
    names = dict.fromkeys(row.need.in_hook(point).value for point in points)
    return ", ".join(names)


def _hooks(row: HostFunction) -> str:
    if not row.hooks:
        return f"all, {INIT_EXPORT}"
    if row.hooks == ALL_HOOKS:
        return "all"
    return ", ".join(point.value for point in row.hooks)


def wasi_table() -> list[str]:
    """Every function of WASI, a line each."""
    return [
        "| function | it | permission |",
        "|---|---|---|",
        *(f"| `{one.name}` | {one.does} | {_needed(one)} |" for one in WASI.values()),
    ]


TABLES = {
    "facts": facts_table,
    "functions": functions_table,
    "permissions": permissions_table,
    "wasi": wasi_table,
}


def filled(page: str) -> str:
    """The page with every table as it is now; ValueError without its marks."""
    for name, table in TABLES.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, after = page.index(begin) + len(begin), page.index(end)
        lines = "\n".join(table())
        page = f"{page[:before]}\n\n{lines}\n\n{page[after:]}"
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text("utf-8")), "utf-8")
