"""Everything that an expression may call: name, signature, one line.

Rule 1. What is not listed here is refused when a document is compiled, even if the CEL
        library knows it: each entry has a cost that plait.expression.budget bounds, and
        gives the same result on every machine.
Rule 2. docs/reference/expressions.md is generated from FUNCTIONS.

Left out on purpose: `lists.range` (one small number makes a list of any size).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class FunctionEntry(NamedTuple):
    """One function. `group` is the heading that it stands under."""

    group: str
    name: str
    signature: str
    summary: str


def _group(group: str, *rows: tuple[str, str, str]) -> tuple[FunctionEntry, ...]:
    return tuple(FunctionEntry(group, *row) for row in rows)


_ABSENCE = _group(
    "Asking safely",
    ("has", "has(x.key) → bool", "Whether `x` has that key; `x` must be an object."),
    ("optional.of", "optional.of(value) → optional", "An optional that holds `value`."),
    ("optional.none", "optional.none() → optional", "An optional that holds nothing."),
    (
        "optional.ofNonZeroValue",
        "optional.ofNonZeroValue(value) → optional",
        "Nothing if `value` is zero, empty, false or null.",
    ),
    ("hasValue", "x.?key.hasValue() → bool", "Whether the optional holds a value."),
    ("value", "x.?key.value() → value", "The value; an error if there is none."),
    ("or", "x.?a.or(x.?b) → optional", "The first optional that holds a value."),
    ("orValue", "x.?key.orValue(other) → value", "The value, or `other`."),
    ("optMap", "x.?key.optMap(v, f(v)) → optional", "Applies `f` to the value, if any."),
    ("optFlatMap", "x.?key.optFlatMap(v, v.?b) → optional", "The same, for optionals."),
)

_LISTS = _group(
    "Lists and objects",
    ("size", "size(x) → int", "Number of elements, keys, characters or bytes."),
    ("all", "list.all(x, test) → bool", "Whether every element passes the test."),
    ("exists", "list.exists(x, test) → bool", "Whether an element passes the test."),
    ("exists_one", "list.exists_one(x, test) → bool", "Whether exactly one passes."),
    ("filter", "list.filter(x, test) → list", "The elements that pass the test."),
    ("map", "list.map(x, f(x)) → list", "What `f` makes of each element."),
    ("sort", "list.sort() → list", "Sorted; elements must be of one comparable type."),
    ("sortBy", "list.sortBy(x, key(x)) → list", "Sorted by what `key` makes of each."),
    ("distinct", "list.distinct() → list", "Without repeated elements."),
    ("flatten", "list.flatten() → list", "Lists inside the list, joined; one level."),
    ("reverse", "x.reverse() → list or string", "The list or text backwards."),
    ("slice", "list.slice(from, to) → list", "Elements `from` up to but without `to`."),
    ("first", "list.first() → optional", "The first element, if any."),
    ("last", "list.last() → optional", "The last element, if any."),
    ("join", "list.join(separator) → string", "Texts, joined."),
)

_TEXT = _group(
    "Text",
    ("contains", "text.contains(part) → bool", "Whether `part` occurs."),
    ("startsWith", "text.startsWith(part) → bool", "Whether it begins with `part`."),
    ("endsWith", "text.endsWith(part) → bool", "Whether it ends with `part`."),
    ("matches", "text.matches(pattern) → bool", "Whether an RE2 pattern occurs."),
    ("charAt", "text.charAt(index) → string", "The character at `index`."),
    ("indexOf", "text.indexOf(part) → int", "Where `part` first occurs, or -1."),
    ("lastIndexOf", "text.lastIndexOf(part) → int", "Where it last occurs, or -1."),
    ("lowerAscii", "text.lowerAscii() → string", "A–Z as a–z."),
    ("upperAscii", "text.upperAscii() → string", "a–z as A–Z."),
    ("replace", "text.replace(old, new) → string", "Every `old` replaced."),
    ("split", "text.split(separator) → list", "The parts between separators."),
    ("substring", "text.substring(from, to) → string", "Characters `from` up to `to`."),
    ("trim", "text.trim() → string", "Without white space at both ends."),
    ("format", "'%s is %d'.format([a, b]) → string", "Values put into a pattern."),
    ("strings.quote", "strings.quote(text) → string", "As a quoted CEL literal."),
    ("base64.encode", "base64.encode(bytes) → string", "Bytes as base64 text."),
    ("base64.decode", "base64.decode(text) → bytes", "Base64 text as bytes."),
)

_NUMBERS = _group(
    "Numbers",
    ("math.greatest", "math.greatest(a, b, …) → number", "The largest."),
    ("math.least", "math.least(a, b, …) → number", "The smallest."),
    ("math.abs", "math.abs(x) → number", "Without its sign."),
    ("math.sign", "math.sign(x) → number", "-1, 0 or 1."),
    ("math.ceil", "math.ceil(double) → double", "Rounded up."),
    ("math.floor", "math.floor(double) → double", "Rounded down."),
    ("math.round", "math.round(double) → double", "Rounded to the nearest."),
    ("math.trunc", "math.trunc(double) → double", "Without its fraction."),
    ("math.sqrt", "math.sqrt(x) → double", "The square root."),
    ("math.isNaN", "math.isNaN(double) → bool", "Whether it is not a number."),
    ("math.isInf", "math.isInf(double) → bool", "Whether it is infinite."),
    ("math.isFinite", "math.isFinite(double) → bool", "Whether it is neither."),
    ("math.bitAnd", "math.bitAnd(a, b) → int", "Bitwise and."),
    ("math.bitOr", "math.bitOr(a, b) → int", "Bitwise or."),
    ("math.bitXor", "math.bitXor(a, b) → int", "Bitwise exclusive or."),
    ("math.bitNot", "math.bitNot(a) → int", "Bitwise not."),
    ("math.bitShiftLeft", "math.bitShiftLeft(a, bits) → int", "Shifted left."),
    ("math.bitShiftRight", "math.bitShiftRight(a, bits) → int", "Shifted right."),
)

_TYPES = _group(
    "Types",
    ("int", "int(x) → int", "As an integer; a double is cut off at its point."),
    ("uint", "uint(x) → uint", "As an unsigned integer."),
    ("double", "double(x) → double", "As a double."),
    ("string", "string(x) → string", "As text."),
    ("bytes", "bytes(text) → bytes", "The UTF-8 bytes."),
    ("bool", "bool(text) → bool", "From 'true' or 'false'."),
    ("type", "type(x) → type", "Its type: compare with int, string, list, map, …"),
    ("dyn", "dyn(x) → x", "Leaves the type to be found when the expression runs."),
)

_TIME = _group(
    "Time",
    ("timestamp", "timestamp(text) → timestamp", "From RFC 3339 text."),
    ("duration", "duration(text) → duration", "From text such as '1h30m'."),
    ("getFullYear", "time.getFullYear([zone]) → int", "The year."),
    ("getMonth", "time.getMonth([zone]) → int", "The month, from 0."),
    ("getDate", "time.getDate([zone]) → int", "The day of the month, from 1."),
    ("getDayOfMonth", "time.getDayOfMonth([zone]) → int", "The same, from 0."),
    ("getDayOfWeek", "time.getDayOfWeek([zone]) → int", "The day, Sunday is 0."),
    ("getDayOfYear", "time.getDayOfYear([zone]) → int", "The day of the year, from 0."),
    ("getHours", "time.getHours([zone]) → int", "Hours; of a duration, all of them."),
    ("getMinutes", "time.getMinutes([zone]) → int", "Minutes, likewise."),
    ("getSeconds", "time.getSeconds([zone]) → int", "Seconds, likewise."),
    ("getMilliseconds", "time.getMilliseconds([zone]) → int", "Milliseconds."),
)

_OWN = _group(
    "Plait",
    (
        "uuid",
        "uuid(execution, text) → string",
        "A UUID that is always the same for this execution and `text`.",
    ),
    ("cel.bind", "cel.bind(x, value, f(x)) → value", "Names a value used twice."),
)

FUNCTIONS: Final = (*_ABSENCE, *_LISTS, *_TEXT, *_NUMBERS, *_TYPES, *_TIME, *_OWN)

NAMES: Final = frozenset(entry.name for entry in FUNCTIONS)

# Their second argument sees a name that their first one introduces.
MACROS: Final = frozenset(
    {"all", "exists", "exists_one", "filter", "map", "sortBy", "optMap", "optFlatMap"}
    | {"bind"}
)

# What people write who come from other languages, and what it is called here.
OTHER_NAMES: Final = {
    "any": "exists",
    "every": "all",
    "find": "filter",
    "flatMap": "map(…).flatten",
    "float": "double",
    "includes": "contains",
    "keys": "map(key, key)",
    "len": "size",
    "length": "size",
    "lower": "lowerAscii",
    "match": "matches",
    "max": "math.greatest",
    "min": "math.least",
    "number": "double",
    "replaceAll": "replace",
    "round": "math.round",
    "some": "exists",
    "sorted": "sort",
    "startswith": "startsWith",
    "str": "string",
    "strip": "trim",
    "substr": "substring",
    "toLowerCase": "lowerAscii",
    "toString": "string",
    "toUpperCase": "upperAscii",
    "unique": "distinct",
    "upper": "upperAscii",
    "values": "map(key, object[key])",
}

# Names of types: they stand for themselves, unless something is selected from them.
TYPES: Final = frozenset(
    {"bool", "bytes", "double", "int", "uint", "string", "list", "map", "null_type", "type"}
)
