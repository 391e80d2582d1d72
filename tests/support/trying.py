"""Modules that misuse host functions or WASI, from a few words: one call after another,
or one without end. Each says itself whether it got what it should not get."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.abi.wasi import WASI

ROWS = {**FUNCTIONS, **WASI}
"""All that a module can import, by name; no name stands for two."""

FIRST_CODE = 10
"""What a hook answers when its first try succeeded; the second is one more, and so on.
The host takes any of them for an error, so that it cannot be missed."""

TEXT_AT = 4096
"""Where a module's texts begin; below it is room for answers."""

COUNTED_AT = 64
"""Eight letters that differ from call to call; see `without_end`."""


@dataclass(slots=True, frozen=True)
class At:
    """A text that stands for its address alone."""

    text: bytes


@dataclass(slots=True, frozen=True)
class Try:
    """One call. A text among `args` stands for its address and its length; `answers`
    are those with which the host is right, of which -1 is what a refused call of the
    original's functions gets."""

    function: str
    args: tuple[int | bytes | At, ...]
    answers: tuple[int, ...]


@dataclass(slots=True)
class _Texts:
    """Texts laid into a module's memory."""

    at: int = TEXT_AT
    data: str = ""

    def flat(self, args: Iterable[int | bytes | At]) -> list[int]:
        """The arguments as numbers; texts are laid down."""
        numbers: list[int] = []
        for one in args:
            if isinstance(one, int):
                numbers.append(one)
            elif isinstance(one, At):
                numbers.append(self._lay(one.text))
            else:
                numbers += [self._lay(one), len(one)]
        return numbers

    def _lay(self, text: bytes) -> int:
        spelled = "".join(f"\\{byte:02x}" for byte in text)
        self.data += f'(data (i32.const {self.at}) "{spelled}")\n'
        at, self.at = self.at, self.at + len(text)
        return at


def imported(names: Iterable[str]) -> str:
    """Imports of these functions, each under its own name."""
    return "".join(
        f'(import "{ROWS[name].module}" "{name}" (func ${name} {_signature(name)}))\n'
        for name in names
    )


def _signature(name: str) -> str:
    row = ROWS[name]
    params = f"(param {' '.join(row.types)})" if row.params else ""
    return f"{params} (result {row.result})" if row.result else params


def called(name: str, numbers: Sequence[int]) -> str:
    """A call, its result as an i32."""
    row = ROWS[name]
    args = " ".join(
        f"({kind}.const {one % (1 << (64 if kind == 'i64' else 32))})"
        for kind, one in zip(row.types, numbers, strict=True)
    )
    call = f"(call ${name} {args})"
    return f"(i32.wrap_i64 {call})" if row.result == "i64" else call


def trying(*tries: Try, hooks: Sequence[str] = ("on_request",), pages: int = 1) -> str:
    """Makes each call, and ends with an error at the first that answers otherwise."""
    texts = _Texts()
    steps = ""
    for code, one in enumerate(tries, FIRST_CODE):
        right = "(i32.const 0)"
        for answer in one.answers:
            right = f"(i32.or {right} (i32.eq (local.get $got) (i32.const {answer})))"
        steps += f"""(local.set $got {called(one.function, texts.flat(one.args))})
          (if (i32.eqz {right}) (then (return (i32.const {code}))))\n"""
    return f"""(module
      {imported(sorted({one.function for one in tries}))}
      (memory (export "memory") {pages})
      {texts.data} {_exports(hooks)}
      (func $run (result i32) (local $got i32)
        {steps} (i32.const 0)))"""


def _exports(hooks: Sequence[str]) -> str:
    return "".join(f'(export "{hook}" (func $run))' for hook in hooks)


def without_end(
    name: str,
    *args: int | bytes | At,
    until: int | None = None,
    hooks: Sequence[str] = ("on_request",),
    pages: int = 1,
) -> str:
    """Makes one call again and again, until it answers `until` if that ever happens.

    At COUNTED_AT stand eight letters that count the calls: an argument may name them.
    """
    texts = _Texts()
    call = called(name, texts.flat(args))
    letters = "".join(
        f"(i32.store8 (i32.const {COUNTED_AT + place}) (i32.add (i32.const 97)"
        f" (i32.and (i32.shr_u (global.get $n) (i32.const {4 * place}))"
        " (i32.const 15))))"
        for place in range(8)
    )
    goes_on = "(br $again)"
    if until is not None:
        goes_on = f"(br_if $again (i32.ne (local.get $got) (i32.const {until})))"
    return f"""(module
      {imported([name])}
      (memory (export "memory") {pages})
      (global $n (mut i32) (i32.const 0))
      {texts.data} {_exports(hooks)}
      (func $run (result i32) (local $got i32)
        (loop $again
          {letters}
          (global.set $n (i32.add (global.get $n) (i32.const 1)))
          (local.set $got {call})
          {goes_on})
        (i32.const 0)))"""


def hook(code: str, head: str = "", *, name: str = "on_request") -> str:
    """A module with this code in one hook, ahead of its good answer."""
    return f'(module {head} (func (export "{name}") (result i32) {code} (i32.const 0)))'
