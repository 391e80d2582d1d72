"""A class with code of its own behaves as if it had inherited it."""

from abc import ABC, abstractmethod

import pytest

from int3rceptor.model.own_code import own_code


class Shape(ABC):
    name = "shape"

    def __init__(self, size: int, *, unit: str = "m") -> None:
        self.size = size
        self.unit = unit

    @property
    def text(self) -> str:
        """What it is called."""
        return f"{self.name} of {self.size} {self.unit}"

    def grown(self, by: int = 2) -> int:
        """How large it would be."""
        return self.size * by

    @abstractmethod
    def corners(self) -> int: ...


class Square(Shape):
    name = "square"

    def grown(self, by: int = 3) -> int:
        return super().grown(by)

    def corners(self) -> int:
        return 4


@own_code
class Tile(Square):
    def corners(self) -> int:
        return super().corners() + 1


def test_it_behaves_as_before() -> None:
    tile = Tile(3)
    assert (tile.text, Tile(1, unit="km").unit) == ("square of 3 m", "km")
    assert (tile.grown(), tile.grown(5), tile.corners()) == (9, 15, 5)
    assert Tile.grown.__qualname__ == Square.grown.__qualname__
    assert Shape.text.__doc__ == Tile.text.__doc__ == "What it is called."
    with pytest.raises(AttributeError):
        tile.text = "round"  # type: ignore[misc]


def test_its_code_is_shared_with_nobody() -> None:
    assert Tile.grown.__code__ is not Square.grown.__code__
    assert Tile.__init__.__code__ is not Shape.__init__.__code__
    assert vars(Tile)["text"].fget.__code__ is not vars(Shape)["text"].fget.__code__
    assert Square.corners.__code__ is not Tile.corners.__code__


def test_what_is_abstract_stays_so() -> None:
    @own_code
    class Unfinished(Shape):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Unfinished(1)  # type: ignore[abstract]
