"""What a rule will do, as a plain value for those who are asked when it matches. Pure.

In the words of rule files, and without the values of headers: they may be secrets.
"""

from int3rceptor.model.flow import RuleFacts
from int3rceptor.model.headers import to_text
from int3rceptor.rules.model import (
    AddHeader,
    Answer,
    Block,
    Ending,
    LeaveAlone,
    RemoveHeader,
    Rewrite,
    Rule,
    SetHeader,
    Step,
    Tag,
    Wait,
)


def facts_of(rule: Rule) -> RuleFacts:
    """The rule in a few words."""
    does = [_words(step) for step in rule.steps]
    if rule.ending is not None:
        does.append(_words(rule.ending))
    return RuleFacts(
        name=rule.name, phase=rule.phase.value, place=rule.place, does=tuple(does)
    )


def _words(step: Step | Ending) -> str:
    match step:
        case Tag(name=name):
            return f"tag {name}"
        case RemoveHeader(name=field):
            return f"remove_header {to_text(field)}"
        case SetHeader(name=field):
            return f"set_header {to_text(field)}"
        case AddHeader(name=field):
            return f"add_header {to_text(field)}"
        case Rewrite():
            return "rewrite"
        case Wait(seconds=seconds):
            return f"delay_s {seconds:g}"
        case Answer(status=status):
            return f"answer {status}"
        case Block(how=how):
            return f"block {how}"
        case LeaveAlone():
            return "passthrough"
