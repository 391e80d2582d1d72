"""What the requests for flows may ask: their parameters, checked, as a filter."""

from collections import Counter
from typing import Annotated, Literal

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from int3rceptor.control.schemas import MAX_ID
from int3rceptor.store.asking.filters import FlowFilter

MAX_PAGE = 500
"""Most flows of one answer: some 200 KB."""

PAGE = 50
"""Flows of one answer unless asked otherwise: a screenful."""

MAX_TEXT_CHARS = 256
"""Of any text that is searched for."""

FlowId = Annotated[
    int, Path(ge=1, le=MAX_ID, description="The flow's id.", examples=[1])
]
Side = Annotated[
    Literal["request", "response"],
    Path(description="Whose body.", examples=["request"]),
]
# What config.values.host_pattern takes, as a pattern that OpenAPI can show.
_PORT = (
    "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]"
    "|6553[0-5]"
)
_HOST = rf"^(\[[0-9A-Fa-f:.*?]+\]|[!-+\-.0-9;-?A-Z\\^-~]+)(:({_PORT}))?$"
_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class _Query(BaseModel):
    # A parameter that is misspelt must not be one that is left out: of a filter for
    # what is to be deleted, least of all.
    model_config = ConfigDict(frozen=True, extra="forbid")


class FilterQuery(_Query):
    """Which flows: all that fit every parameter given."""

    host: _Text | None = Field(
        None,
        pattern=_HOST,
        description="A glob over hosts, perhaps with a port.",
        examples=["*.example.com"],
    )
    method: _Text | None = Field(
        None,
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="The method, in any case.",
        examples=["POST"],
    )
    status: str | None = Field(
        None,
        pattern=r"^[1-9]([0-9]{2}|xx)$",
        description="A status, or a class of them.",
        examples=["404", "5xx"],
    )
    since: float | None = Field(
        None,
        ge=0,
        le=1e11,
        allow_inf_nan=False,
        description="Only those that began then or later: seconds since 1970, UTC.",
        examples=[1767225600],
    )
    text: _Text | None = Field(
        None,
        description="Words that follow each other in a head, the URL or a text body.",
        examples=["session expired"],
    )
    tag: _Text | None = Field(None, description="A tag.", examples=["slow"])
    is_marked: bool | None = Field(None, description="Only marked ones, or the others.")

    def chosen(self) -> FlowFilter:
        """The filter that the store knows."""
        return FlowFilter(
            host=self.host,
            method=self.method,
            status=self.status,
            since=self.since,
            text=self.text,
            tag=self.tag,
            is_marked=self.is_marked,
        )


class PageQuery(FilterQuery):
    """Which flows, and which page of them."""

    limit: int = Field(PAGE, ge=1, le=MAX_PAGE, description="Most flows of the answer.")
    before: int | None = Field(
        None, ge=1, le=MAX_ID, description="Only older ones: `next` of the last page."
    )
    after: int | None = Field(
        None, ge=0, le=MAX_ID, description="Only newer ones: the last id you have seen."
    )


class DeleteQuery(FilterQuery):
    """Which flows to delete. None of the filters: all of them."""

    confirm: Literal["true"] = Field(
        description="Must be `true`: what is deleted is gone.", examples=["true"]
    )


class BodyQuery(_Query):
    """How a body is to be given."""

    decoded: bool = Field(False, description="Undo its content codings (gzip, ...).")


class CaQuery(_Query):
    """In which form."""

    format: Literal["pem", "der", "mobileconfig"] = Field(
        "pem", description="PEM, DER (Windows, Android), or an Apple profile."
    )


def once_each(request: Request) -> None:
    """Refuse a parameter that is given twice: which of the two counts is a guess."""
    counted = Counter(name for name, _ in request.query_params.multi_items())
    problems = [
        {"loc": ("query", name), "msg": "is given more than once"}
        for name, times in counted.items()
        if times > 1
    ]
    if problems:
        raise RequestValidationError(problems)
