"""Templates made in one word, for the tests of this folder."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.strategies import SearchStrategy

from plait.expression import Escape, Template, TemplateErrors, parse_template
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue
from plait.model.place import Place

NAME = "${%s}"


def at(pointer: str) -> Place:
    """Return a place on line 3, column 5."""
    return Place(pointer, 3, 5)


def template(value: JsonValue, *, escape: Escape = Escape.NONE) -> Template:
    """Return the template that `value` is."""
    return parse_template(value, at, escape=escape)


def value_of(expression: str, **names: JsonValue) -> JsonValue:
    """Return what `expression`, without its marks, gives with these names."""
    return template(NAME % expression).render(names)


def findings(value: JsonValue) -> tuple[Diagnostic, ...]:
    """Return what is wrong with the template `value`."""
    try:
        template(value)
    except TemplateErrors as errors:
        return errors.diagnostics
    return ()


KEYS = st.sampled_from(["a", "b", "c", "x-y", "0"])
SCALARS: SearchStrategy[JsonValue] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
)
JSON: SearchStrategy[JsonValue] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)
