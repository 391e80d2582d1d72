import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks.flame import folded, svg

SVG = "{http://www.w3.org/2000/svg}"
RAW = """\
main (app.py:1);handle (int3rceptor/proxy/e.py:10);parse (int3rceptor/net/p.py:5) 30
main (app.py:2);handle (int3rceptor/proxy/e.py:12) 10
main (app.py:2);write (ssl.py:930) 20
_bootstrap (threading.py:1);_run (int3rceptor/cli/l.py:64);wait (threading.py:331) 900
_bootstrap (threading.py:1);_worker (concurrent/futures/thread.py:81) 900
_bootstrap (threading.py:1);_run (int3rceptor/cli/l.py:90) 40
"""


def test_lines_of_a_function_are_one_frame_and_threads_that_wait_are_none() -> None:
    root = folded(RAW)
    assert root.samples == 100
    main = root.calls["main (app.py)"]
    assert main.samples == 60
    handle = main.calls["handle (int3rceptor/proxy/e.py)"]
    assert (handle.samples, len(handle.calls)) == (40, 1)
    # A thread that works is there, though it hangs on one of the waiting kind.
    assert root.calls["_bootstrap (threading.py)"].samples == 40


def test_a_frame_is_as_wide_as_its_share_and_stands_under_its_caller() -> None:
    picture = ElementTree.fromstring(svg("h1", folded(RAW)))  # noqa: S314 (made here)
    boxes = {}
    for group in picture.iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert rect is not None
        boxes[title.text] = {
            key: rect.get(key, "") for key in ("x", "y", "width", "fill")
        }
    everything = float(boxes["all: 100.0%"]["width"])
    handle = boxes["handle (int3rceptor/proxy/e.py): 40.0%"]
    main = boxes["main (app.py): 60.0%"]
    assert float(handle["width"]) == pytest.approx(everything * 0.4, abs=0.2)
    assert float(handle["y"]) > float(main["y"])
    assert handle["x"] == main["x"]
    assert handle["fill"] != main["fill"]


def test_nothing_sampled_is_a_picture_too() -> None:
    ElementTree.fromstring(svg("h1", folded("")))  # noqa: S314 (made here)
