"""The host function that reads a named fact; `named_facts` has the names."""

from int3rceptor.plugins.abi.rows import (
    ALL_HOOKS,
    ARG,
    BUF,
    HOOK,
    LENGTH,
    NAME,
    NONE,
    PTR,
    READ,
    row,
)

KNOWING = (
    row(
        "host_get_fact",
        f"{NAME} {BUF}",
        READ,
        ALL_HOOKS,
        "reads a fact by its name, as text; BAD_ARGUMENT: there is no such fact",
        LENGTH,
        *(NONE, PTR, ARG, HOOK),
    ),
)
