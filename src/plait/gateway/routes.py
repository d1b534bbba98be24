"""Routes: which target answers a method and a path.

Rule 1. Fixed text beats a parameter, from the left; a route that also has the method beats
        one that has not.
Rule 2. Matching costs O(length of the path): one look-up for a path without parameters,
        else one step down a tree per segment. (Where both a fixed segment and a parameter
        lead on, both may be tried; each node of the tree is visited at most once.)
Rule 3. A path is cut at its slashes first and decoded then, so `%2F` stays inside a
        parameter.

Rule 4. A parameter that stands first takes nobody's place: not the gateway's own names, nor
        `~TENANT`, behind which the paths of other tenants stand.

Not here: what a target is (plait.gateway.app).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from plait.gateway.message import percent_decode
from plait.gateway.refusal import Malformed
from plait.model.record import record

T = TypeVar("T")

# What the gateway itself answers at, whatever its settings.
_OWN_PATHS: Final = ("/health", "/docs", "/metrics", "/openapi.json")
_TENANTS: Final = "/~"
_OWN_FOLDERS: Final = ("/api/", "/health/", "/docs/", "/webhooks/", _TENANTS)
_OWN_NAMES: Final = frozenset(
    path.strip("/") for path in (*_OWN_PATHS, *_OWN_FOLDERS) if path != _TENANTS
)


@record
class Found(Generic[T]):
    """A target, and the decoded values of its path's parameters, in order."""

    target: T
    values: tuple[str, ...]


@record
class Missing:
    """No target. `methods`: what the path could be asked with; empty: no such path."""

    methods: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[T]):
    fixed: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    targets: dict[str, T] = field(default_factory=dict)


class RouteTable(Generic[T]):
    """Targets by method and path template.

    >>> table = RouteTable[str]()
    >>> table.add("GET", "/users/{id}", "one user")
    >>> table.add("GET", "/users/me", "myself")
    >>> table.find("GET", "/users/a%2Fb")
    Found(target='one user', values=('a/b',))
    >>> table.find("GET", "/users/me").target
    'myself'
    >>> table.find("POST", "/users/me"), table.find("GET", "/users")
    (Missing(methods=('GET',)), Missing(methods=()))
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._whole: dict[str, dict[str, T]] = {}

    def add(self, method: str, template: str, target: T) -> T | None:
        """Add a route, unless its place is taken: then return who has it.

        Args:
            template: `/profiles/{user_id}`; a segment is fixed text or one {parameter}.
                The names of parameters make no difference.
        """
        node = self._root
        for segment in template[1:].split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.fixed.setdefault(percent_decode(segment), _Node())
        if method in node.targets:
            return node.targets[method]
        node.targets[method] = target
        if "{" not in template:
            self._whole[template] = node.targets
        return None

    def methods(self) -> tuple[str, ...]:
        """Return every method that any route has, sorted."""
        return tuple(
            sorted({method for node in _nodes(self._root) for method in node.targets})
        )

    def find(self, method: str, path: str) -> Found[T] | Missing:
        """Return what answers, or which methods the path has.

        Args:
            path: As sent, percent-encoded.

        Raises:
            Malformed: The path is not one: broken escapes, no UTF-8, dot segments.
        """
        whole = self._whole.get(path)
        if whole is not None and method in whole:
            return Found(whole[method], ())
        segments = _segments(path)
        search: _Search[T] = _Search(method, segments, [], set())
        node = search.visit(self._root, 0)
        if node is None:
            return Missing(tuple(sorted(search.methods)))
        return Found(node.targets[method], tuple(search.values))


@dataclass(slots=True)
class _Search(Generic[T]):
    method: str
    segments: list[str]
    values: list[str]
    methods: set[str]

    def visit(self, node: _Node[T], index: int) -> _Node[T] | None:
        """Return the best node below `node`. As deep as the tree, never as the path."""
        if index == len(self.segments):
            if self.method in node.targets:
                return node
            self.methods.update(node.targets)
            return None
        segment = self.segments[index]
        following = node.fixed.get(segment)
        if following is not None:
            found = self.visit(following, index + 1)
            if found is not None:
                return found
        if node.parameter is None or not segment or (index == 0 and _is_own(segment)):
            return None
        self.values.append(segment)
        found = self.visit(node.parameter, index + 1)
        if found is None:
            self.values.pop()
        return found


def is_gateways(template: str) -> bool:
    """Tell whether a path belongs to the gateway itself, or to a tenant by its name.

    However it is written: what is asked for is decoded, too.

    >>> [is_gateways(path) for path in ("/%61pi/v1/x", "/%7Eacme/x", "/apis", "/{who}/x")]
    [True, True, False, False]
    """
    path = percent_decode(template)
    return path in _OWN_PATHS or path.startswith(_OWN_FOLDERS)


def is_tenants(template: str) -> bool:
    """Tell whether a path leads to a tenant by its name, however it is written.

    >>> [is_tenants(path) for path in ("/~acme/x", "/%7Eacme/x", "/a/~acme", "/api/x")]
    [True, True, False, False]
    """
    return percent_decode(template).startswith(_TENANTS)


def _is_own(segment: str) -> bool:
    return segment in _OWN_NAMES or segment.startswith("~")


def parameter_names(template: str) -> tuple[str, ...]:
    """Return the names of a template's parameters, in order.

    >>> parameter_names("/profiles/{user_id}/orders/{order_id}")
    ('user_id', 'order_id')
    """
    segments = template[1:].split("/")
    return tuple(segment[1:-1] for segment in segments if segment.startswith("{"))


def _segments(path: str) -> list[str]:
    """Return the decoded segments of `path`.

    `.` and `..` are refused: clients resolve them before they ask, and further up the line
    they would mean another path.
    """
    if not path.startswith("/"):
        raise Malformed("the path does not start with '/'")
    segments = path[1:].split("/")
    if "%" in path or not path.isascii():
        try:
            segments = [percent_decode(segment) for segment in segments]
        except ValueError as error:
            raise Malformed(f"the path cannot be read: {error}") from None
    if "." in segments or ".." in segments:
        raise Malformed("the path has a segment '.' or '..'")
    return segments


def _nodes(node: _Node[T]) -> Iterator[_Node[T]]:
    yield node
    for inner in node.fixed.values():
        yield from _nodes(inner)
    if node.parameter is not None:
        yield from _nodes(node.parameter)
