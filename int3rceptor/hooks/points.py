"""The closed list of hook points. The docstring is the documentation of the hooks."""

from enum import Enum


class HookPoint(Enum):
    """Where listeners are asked. The value is the name of the hook.

    on_connect     a client names an origin: by CONNECT, or by its first plain request
                   to it on this connection. `flow.request` is that CONNECT (or
                   request). Verdicts: PassThrough, Upstream, Respond, Drop, Delay,
                   Hold.
    on_request     a request's head is here, before an origin is chosen. Everything of
                   it may be changed. Verdicts: Respond, Drop, Delay, Hold.
    on_response    the response's head is here, before the client sees it. Everything
                   of it may be changed. Verdicts: Respond, Drop, Delay, Hold.
    on_capture     the exchange is over and about to be recorded. Drop: do not keep it.
    on_rule_match  a rule matched; `flow.rule` names it. Verdicts as of on_request.
    """

    # Enum's own is a Python function, and every exchange looks points up three times.
    __hash__ = object.__hash__

    CONNECT = "on_connect"
    REQUEST = "on_request"
    RESPONSE = "on_response"
    CAPTURE = "on_capture"
    RULE_MATCH = "on_rule_match"


# In Python 3.11 a member costs several globals, and each exchange asks for a dozen.
CONNECT, REQUEST, RESPONSE, CAPTURE, RULE_MATCH = HookPoint
