"""URLs: split, checked and brought to the form that goes onto the wire.

Rule 1. What two readers could read differently is refused: user names, backslashes,
white space, control characters, empty hosts, strange ports.
Rule 2. The path and query are sent as written. Only characters that may not stand in a
request line (`"<>^`, back tick, braces, `|`, beyond ASCII) are percent-encoded.

Not here: whether a host may be called (plait.connectors.egress).
"""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin

from plait.connectors.egress import Host, InvalidRequest, read_host
from plait.model.record import record

URL_LENGTH_MAX = 16_384
_PORT_DEFAULT = {"http": 80, "https": 443}
_PORT_MAX = 65_535
_SPLIT = re.compile(r"(?i)(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PORT = re.compile(r"(.*):([0-9]{1,5})", re.DOTALL)
# What a request line takes as it is; `%` included: an encoded path stays encoded.
_PLAIN = "!$%&'()*+,-./:;=?@[]_~"
_LITERAL_HOST = re.compile(r"(?i)https?://([^/?#]+)(?:[/?#].*)?", re.DOTALL)

# Also `is_plain_target(url, slash)`: the part from `slash` on.
is_plain_target = re.compile(r"/[A-Za-z0-9!$%&'()*+,\-./:;=?@\[\]_~]*").fullmatch


@record
class Url:
    """A checked URL.

    Attributes:
        prefix: Scheme and authority as they were written; a key for caches.
        authority: Value of the Host header: no port when it is the scheme's own.
        target: Path and query as they go into the request line; begins with `/`.
    """

    scheme: str
    host: Host
    port: int
    prefix: str
    authority: str
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what decides whether a redirect leaves for elsewhere."""
        return self.scheme, self.host.name, self.port


def read_url(text: object) -> Url:
    """Return `text` as a checked URL. A fragment is dropped.

    Raises:
        InvalidRequest: no absolute http(s) URL, or an ambiguous one.

    >>> url = read_url("HTTP://Users:8080/a?b=c#d")
    >>> url.scheme, url.host.name, url.port, url.authority, url.target
    ('http', 'users', 8080, 'users:8080', '/a?b=c')
    >>> read_url("https://h?q=ü").target
    '/?q=%C3%BC'
    """
    if not isinstance(text, str):
        raise InvalidRequest("the URL is not a text")
    _refuse_ambiguous(text)
    match = _SPLIT.fullmatch(text)
    if match is None:
        raise InvalidRequest(_not_absolute(text))
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    host, port = _read_authority(scheme, authority)
    is_default = port == _PORT_DEFAULT[scheme]
    return Url(
        scheme=scheme,
        host=host,
        port=port,
        prefix=text[: match.end(2)],
        authority=host.in_url if is_default else f"{host.in_url}:{port}",
        target=read_target(rest),
    )


def _refuse_ambiguous(text: str) -> None:
    if len(text) > URL_LENGTH_MAX:
        raise InvalidRequest(f"the URL is longer than {URL_LENGTH_MAX} characters")
    if "\\" in text:
        raise InvalidRequest("the URL holds a backslash")
    if any(char.isspace() for char in text):
        raise InvalidRequest("the URL holds white space; write %20, or use `params`")
    if any(char < " " or "\x7f" <= char <= "\x9f" for char in text):
        raise InvalidRequest("the URL holds a control character")


def _not_absolute(text: str) -> str:
    if text.startswith("//") or not _SCHEME.match(text):
        return "the URL is not absolute; it must begin with http:// or https://"
    return "the URL is not of the form http://host or https://host"


def _read_authority(scheme: str, authority: str) -> tuple[Host, int]:
    if "@" in authority:
        raise InvalidRequest("the URL holds a user name; use an Authorization header")
    if not authority:
        raise InvalidRequest("the URL has no host")
    port_match = None if authority.endswith("]") else _PORT.fullmatch(authority)
    if port_match is None:
        return read_host(authority), _PORT_DEFAULT[scheme]
    port = int(port_match[2])
    if not 0 < port <= _PORT_MAX:
        raise InvalidRequest("the URL's port is not between 1 and 65535")
    return read_host(port_match[1]), port


def read_target(rest: str) -> str:
    """Return path and query, `rest`, as they go into the request line.

    Raises:
        InvalidRequest: `rest` holds half of a surrogate pair.
    """
    target = rest if rest.startswith("/") else "/" + rest
    if is_plain_target(target):
        return target
    try:
        return quote(target, safe=_PLAIN)
    except UnicodeEncodeError:
        raise InvalidRequest("the URL is not valid Unicode") from None


def join_url(base: str, location: str) -> str:
    """Return where `location`, a Location header's value, leads from `base`.

    >>> join_url("http://h/a/b?c", "../d"), join_url("http://h/a", "//i/x")
    ('http://h/d', 'http://i/x')

    Raises:
        InvalidRequest: `location` is no URL.
    """
    if _SCHEME.match(location):
        return location
    try:
        return urljoin(base, location)
    except ValueError:
        raise InvalidRequest("the redirect leads to no valid URL") from None


def public_url(url: Url) -> str:
    """Return `url` as it may be shown: without its query, which may hold secrets.

    >>> public_url(read_url("http://h:80/a?token=x"))
    'http://h/a'
    """
    return f"{url.scheme}://{url.authority}{url.target.partition('?')[0]}"


def host_is_literal(url_template_source: str) -> bool:
    """Return whether scheme, host and port stand literally in a URL's template.

    >>> [host_is_literal(u) for u in ("http://users/${input.id}", "http://${input.h}/x")]
    [True, False]
    >>> [host_is_literal(u) for u in ("${input.url}", "http://users${input.x}/y")]
    [False, False]
    """
    match = _LITERAL_HOST.fullmatch(url_template_source)
    return match is not None and "$" not in match[1] and "\\" not in match[1]
