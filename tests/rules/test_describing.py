"""Every step and ending of a rule in words, without the values of headers."""

from int3rceptor.rules.describing import facts_of
from tests.support.ruling import rule_of

STEPS = """
match = {}
tag = ["seen"]
remove_header = ["X-Gone"]
set_header = { Cookie = "secret" }
add_header = { X-More = ["secret", "other"] }
rewrite = { host = "b.test" }
delay_s = 1.5
"""


def test_steps_and_their_order() -> None:
    facts = facts_of(rule_of(STEPS + "answer = { status = 503 }"))
    assert (facts.name, facts.phase) == ("one", "request")
    assert facts.place.startswith("rules.toml:")
    assert facts.does == (
        "tag seen",
        "remove_header X-Gone",
        "set_header Cookie",
        "add_header X-More",
        "add_header X-More",
        "rewrite",
        "delay_s 1.5",
        "answer 503",
    )


def test_other_endings() -> None:
    def ending(line: str) -> tuple[str, ...]:
        return facts_of(rule_of(f"match = {{}}\n{line}")).does

    assert ending("block = true") == ("block page",)
    assert ending('block = "drop"') == ("block drop",)
    assert ending('on = "connect"\npassthrough = true') == ("passthrough",)
