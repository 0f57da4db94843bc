"""The locator finds the line of every key, whatever legal TOML it is given."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.recipe.locate import locate
from ganlab.recipe.places import Way

AWKWARD = '''\
# a comment with [brackets] and "quotes
top = 1
[data] # [not.this]
text = """
[train]
epochs = 3
\\""" still text """""
literal = \'\'\'
a = 1 \'\' \'\'\'
list = [ # ]
  1, "]", # two on a line
  [2,
   3],
  { a = 1, b = [
    4,
  ] },
]
"quoted key" . 'and.dotted' = "=#"
after.dots.deep = 2020-01-01 12:00:00 # a date with a blank in it
empty = ""
nothing = []
hollow = {}
[a.b.c]
x = { y.z = 1, "w" = 2 }
[a]
[[tricks]]
use = "one"
[tricks.sub]
q = 1
[[tricks.more]]
r = 1
[[tricks.more]]
r = 2
[[tricks]]
use = "two"
[tricks.sub]
q = 2'''


def test_every_key_of_awkward_toml_is_found_on_its_line() -> None:
    tomllib.loads(AWKWARD)  # it is legal
    assert locate(AWKWARD) == {
        ("top",): 2,
        ("data",): 3,
        ("data", "text"): 4,
        ("data", "literal"): 8,
        ("data", "list"): 10,
        ("data", "list", 0): 11,
        ("data", "list", 1): 11,
        ("data", "list", 2): 12,
        ("data", "list", 2, 0): 12,
        ("data", "list", 2, 1): 13,
        ("data", "list", 3): 14,
        ("data", "list", 3, "a"): 14,
        ("data", "list", 3, "b"): 14,
        ("data", "list", 3, "b", 0): 15,
        ("data", "quoted key"): 18,
        ("data", "quoted key", "and.dotted"): 18,
        ("data", "after"): 19,
        ("data", "after", "dots"): 19,
        ("data", "after", "dots", "deep"): 19,
        ("data", "empty"): 20,
        ("data", "nothing"): 21,
        ("data", "hollow"): 22,
        ("a",): 25,
        ("a", "b"): 23,
        ("a", "b", "c"): 23,
        ("a", "b", "c", "x"): 24,
        ("a", "b", "c", "x", "y"): 24,
        ("a", "b", "c", "x", "y", "z"): 24,
        ("a", "b", "c", "x", "w"): 24,
        ("tricks",): 26,
        ("tricks", 0): 26,
        ("tricks", 0, "use"): 27,
        ("tricks", 0, "sub"): 28,
        ("tricks", 0, "sub", "q"): 29,
        ("tricks", 0, "more"): 30,
        ("tricks", 0, "more", 0): 30,
        ("tricks", 0, "more", 0, "r"): 31,
        ("tricks", 0, "more", 1): 32,
        ("tricks", 0, "more", 1, "r"): 33,
        ("tricks", 1): 34,
        ("tricks", 1, "use"): 35,
        ("tricks", 1, "sub"): 36,
        ("tricks", 1, "sub", "q"): 37,
    }


def test_windows_line_ends_count_once() -> None:
    assert locate("a = 1\r\n[b]\r\nc = [\r\n 1]\r\n") == {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 0): 4}


@pytest.mark.parametrize("text", ["?", "a = [?", "a = {?", "a = [1", "a = {b = 1", "a = [}", "a = {]"])
def test_the_walk_ends_even_over_what_is_no_toml(text: str) -> None:
    assert set(locate(text)) <= {("a",), ("a", 0), ("a", "b"), ("a", ""), ("",)}


_text = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)
_leaf = st.one_of(st.integers(-99, 99), st.booleans(), _text, st.floats(allow_nan=False))
_value = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3), max_leaves=8)


def _ways(value: Any, way: Way = ()) -> list[Way]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in [(*way, key), *_ways(inner, (*way, key))]]


@given(st.dictionaries(_text, _value, max_size=4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_everything_that_tomllib_reads_has_a_line(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    lines = locate(text)
    assert set(lines) == set(_ways(tomllib.loads(text)))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.text(alphabet="ab.=[]{}\"'\\#,\n 1", max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_tomllib_accepts_is_walked_to_its_end(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except ValueError:
        return
    assert set(locate(text)) == set(_ways(document))
