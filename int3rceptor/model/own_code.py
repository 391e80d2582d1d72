"""Gives a class code of its own for what it inherits."""

from types import FunctionType
from typing import TypeVar

Made = TypeVar("Made", bound=type)


def own_code(made: Made) -> Made:
    """A class decorator: methods and properties that are inherited are copied.

    CPython keeps beside a function's bytecode where the last object that came had its
    attributes. Objects of two classes that come in turn make it look up each attribute
    anew, which takes ten times as long; so either class gets bytecode of its own.
    """
    for base in made.__mro__[1:-1]:
        for name, one in vars(base).items():
            if name in vars(made):
                continue
            if isinstance(one, FunctionType):
                setattr(made, name, _copy(one))
            elif isinstance(one, property) and isinstance(one.fget, FunctionType):
                setattr(made, name, property(_copy(one.fget), doc=one.__doc__))
    return made


def _copy(function: FunctionType) -> FunctionType:
    copy = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__doc__ = function.__doc__
    copy.__dict__.update(vars(function))
    return copy
