from benchmarks.soak import Point, curve, drift


def point(requests: int, rss_mib: float) -> Point:
    return Point(
        requests=requests,
        errors=0,
        elapsed_s=1.0,
        rss_mib=rss_mib,
        tree_rss_mib=2 * rss_mib,
        cpu_us=1.0,
        tree_cpu_us=2.0,
    )


def test_the_first_tenth_is_warm_up_and_the_furthest_point_counts() -> None:
    points = [
        point(0, 50),
        point(5, 70),
        point(10, 100),
        point(50, 93),
        point(90, 104),
        point(100, 100),
    ]
    assert round(drift(points), 3) == -0.07


def test_the_curve_has_both_sizes() -> None:
    picture = curve([point(0, 50), point(100, 60)])
    assert "proxy process" in picture
    assert "with its hub" in picture
    assert picture.count("<polyline") == 2
