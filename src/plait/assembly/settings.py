"""Settings: what the operator may change, each with its default and its meaning.

Rule 1. A key that nobody knows is an error, wherever it stands.
Rule 2. A secret never stands in `plait.toml`: it comes from the environment or a file.
Rule 3. docs/reference/settings.md is made from these models.

Not here: where values come from and which wins (plait.assembly.sources).
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from plait.assembly.setting_types import (
    Address,
    Addresses,
    Bytes,
    Count,
    Duration,
    HttpUrl,
    ListenHost,
    Number,
    Words,
    read_number,
    read_words,
)
from plait.connectors.egress import EgressPolicy, ResolveMap
from plait.connectors.http.settings import HttpSettings
from plait.connectors.python.connector import THREADS_MAX
from plait.document.described import Described
from plait.document.limits import DEFAULT_LIMITS
from plait.drivers.journal import DEATHS_MAX, HISTORY_BYTES_MAX, PAYLOAD_BYTES_MAX
from plait.drivers.journal.terms import BACKLOG_MAX, HELD_MAX
from plait.drivers.policies.cached import CACHE_BYTES_MAX
from plait.gateway.body import JSON_DEPTH_CEILING
from plait.gateway.clients import Proxies
from plait.kernel import Limits
from plait.model.caller import DEFAULT_TENANT, TENANT_FORM, is_tenant
from plait.model.rate import parse_rate
from plait.ports.remote import MESSAGE_BYTES_MAX

PREFIX: Final = "PLAIT_"

# The defaults of the rooms are the defaults here.
_HTTP: Final = HttpSettings()
_ORIGIN: Final = re.compile(
    r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?"
)
# As plait.security.signing calls itself, which brings what is slow to import.
_OWN_ISSUER: Final = "plait"
_EXECUTION: Final = Limits()


def _tenant(value: str) -> str:
    if not is_tenant(value):
        raise ValueError(f"a tenant's name is {TENANT_FORM}")
    return value


# Also of pydantic's own base: else a linter takes the defaults of fields for shared ones.
class Section(Described, BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EgressSection(Section):
    """Which hosts may be called that are not the operator's own words: those out of
    templates, and all of documents that came over the API. Hosts that stand literally in
    the operator's files need no permission."""

    allow_private: bool = False
    """Allow private addresses: loopback, link-local, RFC 1918 and their kin. Metadata
    services stay closed; name them in `allow` to open them."""
    allow: Words = []
    """Hosts, `*.suffix`, addresses and CIDR ranges to allow. In the environment: words
    between commas."""

    @field_validator("allow")
    @classmethod
    def _readable(cls, value: list[str]) -> list[str]:
        EgressPolicy(allow=value)
        return value


class SecretFile(Section):
    """Where a secret stands."""

    file: Path
    """A file that holds the secret and nothing else; one line end at its end is dropped."""


class GatewaySection(Section):
    """`plait serve`."""

    host: ListenHost = "127.0.0.1"
    """Address to listen on. `0.0.0.0` and `::` open the gateway to the network."""
    port: Annotated[Number, Field(ge=0, le=65_535)] = 8080
    """Port to listen on; 0 takes any free one."""
    body_bytes_max: Bytes = 1_000_000
    """The largest request body."""
    in_flight_max: Count = 1_000
    """Requests under way at once; more are answered 503. Those to endpoints and those to
    the API count apart."""
    queue_timeout: Duration = 500
    """When the gateway has had more to do than it can for so long, requests that waited a
    fifth of it for their turn are answered 503 with `Retry-After`."""
    request_timeout: Duration = 60_000
    """How long a request to an endpoint, or an express execution that is run over the API,
    may take whose workflow has no `timeout` of its own."""
    # Whoever stops a service tends to kill it after ten seconds.
    drain_timeout: Duration = 9_000
    """How long requests under way may go on after a signal to stop."""
    json_depth_max: Annotated[Number, Field(ge=1, le=JSON_DEPTH_CEILING)] = 64
    """How deep a request body may be nested; at most 200."""
    cache_bytes_max: Bytes = 64 * 1024 * 1024
    """All kept replies together (`endpoint.cache`)."""
    head_bytes_max: Bytes = 32 * 1024
    """The largest request line and headers together."""
    head_timeout: Duration = 10_000
    """How long they may take to arrive."""
    body_timeout: Duration = 30_000
    """How long the body may take to arrive after them."""
    idle_timeout: Duration = 75_000
    """How long a connection may stay open between requests."""
    write_timeout: Duration = 30_000
    """How long a client may take to read a reply."""
    held_bytes_max: Bytes = 64 * 1024 * 1024
    """Request bodies of all connections together."""
    docs: bool = True
    """Answer /docs and /openapi.json."""
    metrics: bool = True
    """Answer /metrics."""
    middleware: Words = []
    """Middleware of other packages, the outermost first: docs/guides/plugins.md. In the
    environment: words between commas."""
    open_api: bool | None = None
    """Let whoever reaches the gateway list and change executions. Default: only when it
    listens on the own machine."""


class HttpSection(Section):
    """The client that `http` steps use."""

    connection_count_max: Count = _HTTP.connection_count_max
    """Connections to one origin; further calls wait for one."""
    idle_timeout: Duration = _HTTP.idle_ms_max
    """How long a connection is kept unused."""
    connect_timeout: Duration = _HTTP.connect_timeout_ms
    """For connecting, TLS included; a step's own time limit cuts it."""
    body_bytes_max: Bytes = _HTTP.body_bytes_max
    """The largest response body, unpacked; a request's `max_bytes` may say otherwise."""
    unpack_ratio_max: Count = _HTTP.ratio_max
    """The largest unpacked body, in multiples of its packed size."""
    name_ttl: Duration = _HTTP.name_ttl_ms
    """How long a looked-up address is kept."""


class PythonSection(Section):
    """Functions that `python` steps may call."""

    modules: Words = []
    """Modules whose public functions may be called, as `module.function`. In the
    environment: words between commas."""
    path: Path = Path()
    """A folder to look for them first. Default: the one where the command runs."""
    threads_max: Count = THREADS_MAX
    """How many functions that are no coroutines run at once; more wait for a thread."""


class DocumentSection(Section):
    """How large a document's text may be."""

    bytes_max: Bytes = DEFAULT_LIMITS.bytes_max
    """The whole text."""
    depth_max: Count = DEFAULT_LIMITS.depth_max
    """Mappings and lists inside each other."""
    nodes_max: Count = DEFAULT_LIMITS.nodes_max
    """Values of every kind."""


class ExecutionSection(Section):
    """What one execution may use before it fails with `limit.…`."""

    events_max: Count = _EXECUTION.events_max
    """Events in its history, since that last began anew."""
    events_kept: Count = _EXECUTION.events_kept
    """With more events than this the history of a durable one with loops begins anew."""
    pending_max: Count = _EXECUTION.pending_max
    """Calls and timers outstanding at once."""
    payload_bytes_max: Bytes = PAYLOAD_BYTES_MAX
    """What an input, or a call's answer, may bring into the history of a durable one."""
    history_bytes_max: Bytes = HISTORY_BYTES_MAX
    """What the history of a durable one may hold in all."""
    deaths_max: Count = DEATHS_MAX
    """How many workers in a row may die of a durable one before it is quarantined."""
    held_max: Count = HELD_MAX
    """Durable executions that act in a process's memory at once; more are accepted into the
    store, and begin when there is room. Those that only wait do not count."""
    backlog_max: Count = BACKLOG_MAX
    """So many may wait for that room; more starts are answered 503 with `Retry-After`."""


def _redis_url(value: str) -> str:
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("write redis://HOST:PORT/NUMBER, rediss://… or unix://PATH")
    with suppress(ValueError):
        if urlsplit(value).port != 0:
            return value
    raise ValueError("its host or port cannot be read")


class ResilienceSection(Section):
    """What processes share: circuit breakers, rate limits, cached answers, calls that are
    made once; limits of requests."""

    redis: Annotated[str, AfterValidator(_redis_url)] | None = None
    """A Redis through which processes share them, and gateways their limits
    (`security.address_rate` and its kin, `rate_limit` of endpoints): `redis://host:6379/0`.
    While it does not answer, calls go through and nothing is cached, but calls that are to
    be made once are refused; gateways count each for itself. Default: each process has its
    own."""
    redis_timeout: Duration = 250
    """How long it may take to answer. Calls that are to be made once wait for at least two
    seconds."""
    cache_bytes_max: Bytes = CACHE_BYTES_MAX
    """All answers together that a process caches in its memory (`cache` of steps)."""
    cache: str | None = None
    """A cache of another package that keeps them instead: docs/guides/plugins.md."""


def _rate(value: str | None) -> str | None:
    if value is not None:
        parse_rate(value)
    return value


def _networks(value: list[str]) -> list[str]:
    Proxies(value)
    return value


def _origins(value: list[str]) -> list[str]:
    for one in value:
        if not _ORIGIN.fullmatch(one):
            raise ValueError(
                f"'{one}' is no origin: write https://app.example.com, with its port if it "
                "has one, and no path; there is no `*`"
            )
    return value


RateText: TypeAlias = Annotated[str | None, AfterValidator(_rate)]
Role: TypeAlias = Literal["viewer", "operator", "editor", "admin"]
ProxyHeader: TypeAlias = Literal["X-Forwarded-For", "Forwarded"]
Algorithm: TypeAlias = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
    "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip


class IssuerKey(Section):
    """A key of an issuer."""

    algorithm: Algorithm
    """The only one that it is for."""
    public: str | None = None
    """The public key, as PEM (`-----BEGIN PUBLIC KEY-----`)."""
    secret: str | None = None
    """For HS…: the name of the secret, of `[secrets]`, that is shared with the issuer."""

    @model_validator(mode="after")
    def _one_of_both(self) -> IssuerKey:
        is_shared = self.algorithm.startswith("HS")
        if is_shared and (self.secret is None or self.public is not None):
            raise ValueError("HS… needs `secret`, the name of a secret, and no `public`")
        if not is_shared and (self.public is None or self.secret is not None):
            raise ValueError(f"{self.algorithm} needs `public`, a PEM, and no `secret`")
        return self


class IssuerSection(Section):
    """Who else signs tokens (JWT) that count here."""

    issuer: str
    """What `iss` says, letter by letter."""
    audience: str
    """What `aud` says, or one of what it says."""
    jwks: HttpUrl | None = None
    """Where the issuer publishes its keys: an http(s) URL."""
    algorithms: Annotated[list[Algorithm], NoDecode, BeforeValidator(read_words)] = [
        "RS256",
        "ES256",
        "EdDSA",
    ]
    """Those that published keys may be for."""
    keys: dict[str, IssuerKey] = {}
    """Keys that are not published, by their `kid`."""
    leeway: Duration = 30_000
    """How far the clocks may be apart."""
    tenant: Annotated[str, AfterValidator(_tenant)] = DEFAULT_TENANT
    """Whose things its people see."""
    tenant_claim: str | None = None
    """The claim that says the tenant instead. A token without it is refused."""
    role_claim: str = "role"
    """The claim that says the role: a word or a list of words."""
    roles: dict[str, Role] = {}
    """What its words mean: `{staff = "viewer", ops = "operator"}`. Default: they are role
    names."""
    role: Role | None = None
    """The role of people without a word that means one. Default: none."""
    grants_claim: str | None = None
    """The claim that says roles on single workflows: `{orders: editor}`."""

    @model_validator(mode="after")
    def _has_keys(self) -> IssuerSection:
        if self.issuer == _OWN_ISSUER:
            raise ValueError(f"'{_OWN_ISSUER}' is what Plait calls itself")
        if (self.jwks is None) == (not self.keys):
            raise ValueError("write either `jwks`, a URL, or `keys`")
        return self


class VaultSection(Section):
    """Credentials that workflows name (`plait credentials`)."""

    keys: dict[str, SecretFile] = {}
    """What they are encrypted with: 32 random bytes in base64, by the file that holds them.
    In the environment: PLAIT_VAULT_KEY, which is called `key`, or PLAIT_VAULT_KEY_NAME."""
    newest: str | None = None
    """The name of the key that encrypts; the others still decrypt. Needed when there are
    several."""
    memory: Duration = 5_000
    """For how long an opened credential is used before the store is asked again."""


class SecuritySection(Section):
    """Who may ask, and how often. See docs/guides/security.md."""

    required: bool | None = None
    """Whether everybody has to show a key or a token. Default: unless the gateway listens
    on its own machine only, where programs of that machine need none."""
    strategies: Words = []
    """Ways of other packages to show who asks, the first asked first; then keys and tokens:
    docs/guides/plugins.md. In the environment: words between commas."""
    token_ttl: Duration = 900_000
    """How long a token counts that `/api/v1/auth/token` gives."""
    session_ttl: Duration = 7 * 24 * 3_600_000
    """How long a user can renew it before the password is asked for again."""
    key_memory: Duration = 5_000
    """How long a key or token that counted is not looked up again; after this a key that
    was revoked in another process counts no more."""
    trusted_proxies: Annotated[Words, AfterValidator(_networks)] = []
    """Addresses and ranges of proxies: they say in `proxy_header` who asks."""
    proxy_header: ProxyHeader = "X-Forwarded-For"
    """The header that these proxies write. The other is not read: they pass it on as the
    client sent it."""
    cors_origins: Annotated[Words, AfterValidator(_origins)] = []
    """Sites whose pages may read replies: `https://app.example.com`. Default: none."""
    address_rate: RateText = None
    """How often each address may ask, over all routes: `600/1m`. Default: any number."""
    caller_rate: RateText = None
    """How often each key or token may ask. Default: any number."""
    route_rates: dict[str, str] = {}
    """How often each caller may ask single routes of the API:
    `{"POST /api/v1/workflow/execute" = "60/1m"}`."""
    issuers: dict[str, IssuerSection] = {}
    """Who else signs tokens that count here, by a name of your own."""

    @field_validator("route_rates")
    @classmethod
    def _readable(cls, value: dict[str, str]) -> dict[str, str]:
        for route, rate in value.items():
            parse_rate(rate)
            method, separator, path = route.partition(" ")
            if not separator or not method.isupper() or not path.startswith("/"):
                raise ValueError(f"'{route}' is no route: write \"POST /api/v1/…\"")
        return value


class StoreSection(Section):
    """Where durable executions are kept."""

    url: str = ".plait/plait.db"
    """A file for SQLite (`PATH` or `sqlite:PATH`), `postgresql://…` or `redis://…`."""
    retention: Duration | None = None
    """How long executions are kept that have ended: `30d`. `plait serve` then removes them
    by itself, `plait journal compact` when it is called. Default: for ever."""
    archive: Path | None = None
    """A folder: `plait serve` adds what it removes to a file there first, one a day."""


class AgentSection(Section):
    """Drafting workflows from descriptions (`plait draft`, the agent service)."""

    endpoint: HttpUrl | None = None
    """Where an OpenAI-compatible API is: `https://api.openai.com/v1`. Default: none, and
    drafts are made by rules, without a model."""
    model: str = ""
    """The model's name there."""
    key: str = ""
    """The name of the secret that holds the API's key. Default: none is sent."""
    timeout: Duration = 60_000
    """How long the model has for one answer."""
    rounds_max: Annotated[Number, Field(ge=1, le=20)] = 5
    """How often the model is told what is wrong with its draft."""
    openapi: dict[str, Path] = {}
    """OpenAPI documents whose operations drafts may call: `shop = "shop.yaml"`."""
    session_ttl: Duration = 7 * 24 * 3_600_000
    """How long a conversation is kept after it was last used."""
    sessions_max: Count = 1_000
    """Conversations that a tenant may have at once."""


class ServicesSection(Section):
    """Services that are processes of their own: `plait serve --role`."""

    engine: Addresses = "127.0.0.1:8091"
    """Where the engine answers: it runs express workflows. All addresses that the name has
    are called in turn; or several of IP addresses, with commas between them."""
    runtime: Addresses = "127.0.0.1:8092"
    """Where the runtime answers: it keeps deployments and executions."""
    agent: Addresses = "127.0.0.1:8093"
    """Where the agent answers: it drafts workflows."""
    listen: Address | None = None
    """What the service of this process listens on; port 0 takes any free one. Default: its
    own address of these."""
    tls_certificate: Path | None = None
    """The certificate of this process, PEM; with `tls_key` connections are encrypted."""
    tls_key: Path | None = None
    """Its key, PEM."""
    tls_authority: Path | None = None
    """Whose certificates the other services have, PEM. Who has none of them is refused."""
    token_file: Path | None = None
    """A file with the token that all services share, on one line."""
    deadline: Duration = 30_000
    """How long a service may take to answer, beside what it was asked to wait."""
    keep_alive: Duration = 30_000
    """After so long without a word a connection is asked for a sign of life."""
    connection_age: Duration = 60_000
    """After so long a service lets its callers connect anew, and look up who there is."""
    message_bytes_max: Annotated[Bytes, Field(le=MESSAGE_BYTES_MAX)] = MESSAGE_BYTES_MAX
    """The largest message between services: an answer above it is an error,
    `service.answer_too_large`. Default: the largest that there is."""
    retries_max: Annotated[Number, Field(ge=0, le=20)] = 3
    """How often a call that only reads, or starts something under a key, is sent again to a
    service that was not there."""


LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "json", "console"]


class TelemetrySection(Section):
    """What `plait serve` tells of itself. See docs/guides/observability.md."""

    log_level: LogLevel = "info"
    """From which level on Plait's own lines are written to standard error: `debug`, `info`,
    `warning`, `error`. Of other packages: `warning`."""
    log_format: LogFormat = "auto"
    """`json`: one object a line. `console`: for people. `auto`: for people at a terminal,
    JSON elsewhere."""
    access_log: bool = False
    """Write a line for every request, health and metrics left out."""
    alerts_every: Duration = 10_000
    """How often alert documents are looked at."""
    sentry: str = ""
    """The name of the secret that holds the address (DSN) of a Sentry project, which is
    told of errors of Plait's own. Needs `pip install plait[sentry]`. Default: nobody is."""
    service_name: str = "plait"
    """What this process is called in traces, in metrics that are sent, and by Sentry."""
    traces_endpoint: HttpUrl | None = None
    """Where spans are sent to, OTLP over HTTP: `http://collector:4318/v1/traces`. Default:
    nowhere, and none are made."""
    traces_authorization: str = ""
    """The name of the secret that is sent there as `Authorization`. Default: none is."""
    traces_ratio: Annotated[float, BeforeValidator(read_number), Field(ge=0, le=1)] = 1.0
    """Which part of the traces that begin here is drawn. Who brings a trace along has
    decided already."""
    metrics_listen: Address | None = None
    """What the engine, the runtime and the agent answer /metrics and /health on over HTTP,
    when they are processes of their own: `127.0.0.1:9464`; port 0 takes any free one. The
    gateway answers on its own port. Default: they do not."""
    metrics_token: str = ""
    """The name of the secret that has to be shown for those metrics, as `Authorization:
    Bearer …`. On a network they are not answered without one."""
    metrics_endpoint: HttpUrl | None = None
    """Where metrics are sent to, OTLP over HTTP: `http://collector:4318/v1/metrics`, the
    same that /metrics answers with. Default: nowhere."""
    metrics_every: Duration = 60_000
    """How often, and once more at the end."""
    metrics_authorization: str = ""
    """The name of the secret that is sent there as `Authorization`. Default: none is."""


# Which setting names the plug-ins that have a table.
_NAMED_BY: Final = {
    "middleware": ("gateway", "middleware"),
    "authentication": ("security", "strategies"),
    "caches": ("resilience", "cache"),
}


class Settings(BaseSettings):
    """All settings. Durations are milliseconds here, text such as `5s` where written."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        # PLAIT_EGRESS_ALLOW_PRIVATE is egress.allow_private: only the first `_` divides.
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
    )

    resolve: dict[str, str] = {}
    """Addresses for hosts: `host` or `host:port` to `address[:port]`. Asked before DNS, and
    always allowed."""
    egress: EgressSection = EgressSection()
    env: dict[str, Any] = {}
    """What templates read as `env.NAME`. Not for secrets: documents may return it."""
    secrets: dict[str, SecretFile] = {}
    """What requests read as `secrets.NAME`, by the file that holds it. In the environment:
    PLAIT_SECRET_NAME, which becomes `secrets.name`, in lower case."""
    gateway: GatewaySection = GatewaySection()
    http: HttpSection = HttpSection()
    python: PythonSection = PythonSection()
    document: DocumentSection = DocumentSection()
    execution: ExecutionSection = ExecutionSection()
    resilience: ResilienceSection = ResilienceSection()
    security: SecuritySection = SecuritySection()
    vault: VaultSection = VaultSection()
    store: StoreSection = StoreSection()
    agent: AgentSection = AgentSection()
    services: ServicesSection = ServicesSection()
    telemetry: TelemetrySection = TelemetrySection()
    connectors: dict[str, dict[str, Any]] = {}
    """Settings of connectors that other packages bring, by step type."""
    middleware: dict[str, dict[str, Any]] = {}
    """Settings of the middleware that `gateway.middleware` names."""
    authentication: dict[str, dict[str, Any]] = {}
    """Settings of the strategies that `security.strategies` names."""
    caches: dict[str, dict[str, Any]] = {}
    """Settings of the cache that `resilience.cache` names."""

    @field_validator("middleware", "authentication", "caches")
    @classmethod
    def _used(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Refuse a table that nobody reads: its name is misspelled, or is to be named."""
        section, key = _NAMED_BY[str(info.field_name)]
        own = info.data.get(section)
        named = [] if own is None else getattr(own, key) or []
        named = [named] if isinstance(named, str) else named
        for name in value if own is not None else ():
            if name not in named:
                raise ValueError(f"'{name}' is not named in {section}.{key}")
        return value

    @field_validator("resolve")
    @classmethod
    def _addresses(cls, value: dict[str, str]) -> dict[str, str]:
        ResolveMap(value)
        return value
