"""A gradient as the sum of its paths: which, how many, and how they are told."""

import math

import pytest

from autograd import Value, explain
from autograd.show.paths import Explanation, Path


def several(count: int) -> tuple[Value, Value]:
    """A root with `count` paths of the local derivatives 1, 2, 3, ... to a leaf."""
    a = Value(1.0, "a")
    root = a * 1.0
    for k in range(2, count + 1):
        root = root + a * float(k)
    return root, a


def test_the_largest_paths_are_told_and_the_rest_is_summed_up() -> None:
    root, a = several(12)
    told = explain(root, a)
    assert (told.total, told.count, len(told.paths)) == (78.0, 12, 10)
    assert [path.product for path in told.paths] == [float(k) for k in range(12, 2, -1)]
    assert told.rest == "2 smaller paths: 3"
    assert str(told).startswith("78 over 12 paths\na -> ")
    assert str(told).endswith("\n2 smaller paths: 3")
    one = explain(root, a, k=1)
    assert [path.product for path in one.paths] == [12.0]
    assert one.rest == "11 smaller paths: 66"
    assert explain(root, a, k=12).rest == ""
    for k in (0, -1):
        with pytest.raises(ValueError, match=rf"k must be a whole number of at least 1, got {k}$"):
            explain(root, a, k=k)


def test_a_path_from_a_node_to_itself_is_one() -> None:
    a = Value(2.0, "a")
    told = explain(a, a)
    assert str(told).split("\n") == ["1 over 1 path", "a: 1 = 1   100.0%"]
    h = a * 3.0
    root = h * a + h
    inner = explain(root, h)
    assert (inner.total, inner.count) == (3.0, 2)
    assert explain(root, root).count == 1
    with pytest.raises(ValueError, match=r"^explain: the leaf must be a node that the root"):
        explain(h, root)


def test_nodes_have_the_names_of_the_callers_variables() -> None:
    a = Value(2.0)
    middle = a * 3.0
    root = middle + 1.0
    assert explain(root, a).paths[0].names == ("a", "middle", "root")

    def elsewhere() -> Explanation:
        return explain(root, a)

    other = middle
    assert other is middle
    assert elsewhere().paths[0].names[-1] == "root"


def test_shares_that_cancel_are_told_and_none_of_nothing() -> None:
    a = Value(1.0, "a")
    told = explain(a * 3.0 - a * 3.0, a)
    assert told.total == 0.0
    assert all(math.isnan(path.share) for path in told.paths)


def test_an_explanation_shows_in_a_notebook() -> None:
    paths = [Path(("<a>", "b"), (-2.0, 3.0), -6.0, 1.5), Path(("a",), (), 2.0, -0.5)]
    shown = Explanation(-4.0, paths, 5)
    assert shown._repr_html_() == (
        "<p>-4 over 5 paths</p><table>"
        "<tr><td style='text-align:left'>&lt;a&gt; \u2192 b</td>"
        "<td style='text-align:left'><math displaystyle=\"true\">"
        "<mfrac><mrow><mo>\u2202</mo><mi>b</mi></mrow>"
        '<mrow><mo>\u2202</mo><mi mathvariant="normal">&lt;a&gt;</mi></mrow></mfrac></math></td>'
        "<td style='text-align:left'>3 \u22c5 (\u22122) = \u22126</td>"
        "<td style='text-align:left'>150.0%</td></tr>"
        "<tr><td style='text-align:left'>a</td><td style='text-align:left'></td>"
        "<td style='text-align:left'>1 = 2</td><td style='text-align:left'>\u221250.0%</td></tr>"
        "</table><p>3 smaller paths: 0</p>"
    )
    assert str(shown).split("\n") == [
        "-4 over 5 paths",
        "<a> -> b: \u2202b/\u2202<a> = 3 * (-2) = -6   150.0%",
        "a: 1 = 2                            -50.0%",
        "3 smaller paths: 0",
    ]
    assert Explanation(1.0, [], 1200).rest == "1,200 smaller paths: 1"
