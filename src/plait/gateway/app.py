"""The gateway: a request in, a reply out.

Rule 1. `handle` never raises, except for the cancellation of its own task.
Rule 2. What is served is one immutable snapshot; `deploy` makes the next and swaps it in.
        A request keeps the snapshot that it began with.

Not here: sockets (plait.gateway.http1, plait.gateway.asgi), the layers around a workflow
(plait.gateway.pipeline), processes and signals (plait.gateway.serving).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from plait.drivers.closing import close_all
from plait.drivers.journal import Start
from plait.gateway.access import Access, address_of
from plait.gateway.binding import METHODS_WITH_BODY
from plait.gateway.body import JSON_DEPTH_MAX, body_type
from plait.gateway.builtin import own_routes
from plait.gateway.cache import BYTES_MAX_DEFAULT, ReplyCache
from plait.gateway.control.asked import Services
from plait.gateway.control.events import Events
from plait.gateway.control.plane import WEBHOOKS, ControlPlane, OpenToAll
from plait.gateway.control.recorder import Recorder
from plait.gateway.deadlines import Deadlines
from plait.gateway.deployment import Deployment, Finding, Loaded, next_deployments
from plait.gateway.durable import with_store_errors
from plait.gateway.guards import WEBHOOK_TEMPLATE, Guards, with_security_headers
from plait.gateway.identity import Identity, IdentitySource
from plait.gateway.layers import (
    Exchange,
    Handler,
    Room,
    is_keepable,
    with_error_reply,
    with_identity,
    with_metrics,
    with_room,
    with_turn,
)
from plait.gateway.message import Reply, Request
from plait.gateway.metrics import Metrics
from plait.gateway.parts import Running, Telling
from plait.gateway.pipeline import Shared
from plait.gateway.policy_metrics import PolicyMetrics
from plait.gateway.refusal import Malformed, MethodNotAllowed, NotFound, Refused
from plait.gateway.routes import Found, Missing
from plait.gateway.snapshot import Route, Snapshot, build_snapshot
from plait.gateway.watching import with_watch
from plait.gateway.within import within
from plait.model.errors import PlaitError
from plait.model.record import record
from plait.operations.engine import UnknownWorkflow, start_named
from plait.operations.keeper import Keeper
from plait.operations.runs import Express
from plait.plan import Plan
from plait.ports.identity import Authenticator
from plait.ports.middleware import Layer
from plait.ports.observer import Answered

logger = logging.getLogger("plait.gateway")

# Where documents come from.
FILES: Final = "files"
STORED: Final = "store"

_Act: TypeAlias = Callable[[], Awaitable[None]]
_NOBODY = Identity("", "", ())


@record
class GatewaySettings:
    """Limits and switches of a gateway.

    Attributes:
        request_timeout_ms: For workflows that have no `timeout` of their own. Longer than
            the 30 s that a call has by default: so the step that hangs is named.
        in_flight_max: Requests under way at once; more are answered 503. Those to the
            control plane count by themselves.
        queue_timeout_ms: When for so long the process has had more to do than it can, those
            that wait for their turn are answered 503 (see `Room`).
        cache_bytes_max: All kept replies together.
        has_docs: Whether /docs and /openapi.json are answered.
        has_open_api: Whether whoever reaches the gateway may list and change executions,
            where nobody is authenticated.
        heartbeat_ms: After how much silence a stream of events says that it is there.
    """

    request_timeout_ms: int = 60_000
    in_flight_max: int = 1_000
    queue_timeout_ms: int = 500
    json_depth_max: int = JSON_DEPTH_MAX
    cache_bytes_max: int = BYTES_MAX_DEFAULT
    has_docs: bool = True
    has_metrics: bool = True
    has_open_api: bool = False
    heartbeat_ms: int = 15_000


class Gateway:
    """Answers requests with workflows.

    Args:
        driver: Runs express ones.
        running: What else they run with; None: nothing is kept.
        services: What the control plane asks; None: there is no control plane.
        authenticator: Finds out who asks it; None: as `doors` or `has_open_api` say.
        guards: Who may ask, and how often; None: everybody, at any rate.
        middleware: What stands around every request, the outermost first.
        telling: Who hears of what is done here; None: nobody.
        on_prepare: Awaited once, when the store is open that there is use for.
        on_close: Awaited once, after the last request: closes connections, say.

    Attributes:
        state: `starting`, `ready` or `draining`.
        refused: The documents that are not served as they stand now; some of them in their
            last good version.
    """

    def __init__(
        self,
        driver: Express,
        *,
        settings: GatewaySettings | None = None,
        running: Running | None = None,
        services: Services | None = None,
        authenticator: Authenticator | None = None,
        guards: Guards | None = None,
        middleware: Sequence[Layer] = (),
        telling: Telling | None = None,
        on_prepare: _Act | None = None,
        on_close: _Act | None = None,
    ) -> None:
        self._guards = guards = guards or Guards()
        settings, running = settings or GatewaySettings(), running or Running()
        telling = telling or Telling()
        room = Room(settings.in_flight_max, settings.queue_timeout_ms)
        self._control_room = Room(settings.in_flight_max, settings.queue_timeout_ms)
        self.state = "starting"
        self.refused: tuple[str, ...] = ()
        self.metrics = Metrics(lambda: room.taken, telling.registry)
        if running.policies is not None:
            self.metrics.registry.register(PolicyMetrics(running.policies))
        self._nowhere = self.metrics.for_route("", "")
        self._cache = ReplyCache(
            clock=time.monotonic,
            is_keepable=is_keepable,
            bytes_max=settings.cache_bytes_max,
        )
        self._shared = Shared(
            driver=driver,
            durable=running.durable,
            kernel_for=running.kernel_for,
            cache=self._cache,
            deadlines=Deadlines(settings.request_timeout_ms / 1000),
            identities=IdentitySource(telling.is_drawn),
            metrics=self.metrics,
            room=room,
            json_depth_max=settings.json_depth_max,
            doors=guards.doors,
            watch=telling.watch,
        )
        self._entry = within(middleware, self._answer)
        self._on_close = on_close
        self._on_prepare = on_prepare
        self._beside: list[tuple[_Act, _Act]] = []
        self._keeper, self._follower = running.keeper, running.follower
        self._is_over, self._is_cut = asyncio.Event(), asyncio.Event()
        self._webhook: Route | None = None
        known_by = authenticator or guards.doors.authenticator
        self._control = self._control_plane(settings, services, known_by)
        self._own = self._own_routes(settings)
        self._snapshot = Snapshot()
        # The documents by where they come from, the first first.
        self._loaded: dict[str, Sequence[Loaded]] = {FILES: (), STORED: ()}
        self.deploy(())

    def _control_plane(
        self,
        settings: GatewaySettings,
        services: Services | None,
        authenticator: Authenticator | None,
    ) -> ControlPlane | None:
        if services is None:
            return None
        return ControlPlane(
            services,
            authenticator or OpenToAll(is_open=settings.has_open_api),
            Events(self._is_over, settings.heartbeat_ms / 1000, self._is_cut),
            json_depth_max=settings.json_depth_max,
            count=self._guards.count,
            recorder=_recorder(services, self._guards),
        )

    def _own_routes(self, settings: GatewaySettings) -> list[Route]:
        control, guards = self._control, self._guards
        routes = [
            self._guarded(route, guards.of_own(route.template))
            for route in own_routes(
                self,
                self._document if control is not None else None,
                has_docs=settings.has_docs,
                has_metrics=settings.has_metrics,
            )
        ]
        if control is None:
            return routes
        for operation, handler in control.handlers():
            access = guards.of_operation(is_public=operation.is_public)
            route = self._route(operation.method, operation.template, handler, access)
            routes.append(route)
        for path, handler in guards.token_handlers().items():
            access = guards.of_public("POST", path)
            routes.append(self._route("POST", path, handler, access))
        if control.takes_webhooks:
            access = guards.of_public("POST", WEBHOOK_TEMPLATE)
            self._webhook = self._route("POST", WEBHOOKS, control.deliver, access)
        return routes

    def _route(
        self, method: str, template: str, handler: Handler, access: Access | None
    ) -> Route:
        """Return a route of the control plane: guarded, counted and told of."""
        handler = with_room(handler, self._control_room)
        handler = self._layered(with_turn(handler, self._control_room), access)
        handler = with_metrics(handler, self.metrics.for_route(method, template))
        handler = with_watch(handler, template, self._shared.watch)
        return Route(method, template, handler, access=access)

    def _layered(self, handler: Handler, access: Access | None) -> Handler:
        handler = with_store_errors(handler)
        if access is not None:
            handler = access.layer(handler)
        handler = with_error_reply(handler)
        return with_security_headers(with_identity(handler, self._shared.identities))

    def _guarded(self, route: Route, access: Access | None) -> Route:
        """Return a route of the gateway's own behind its guard, if it has one."""
        if access is None:
            return route
        handler = self._layered(route.handler, access)
        return Route(route.method, route.template, handler, access=access)

    async def _document(self) -> dict[str, Any]:
        assert self._control is not None
        return self._guards.in_document(await self._control.document())

    @property
    def snapshot(self) -> Snapshot:
        """What is served now."""
        return self._snapshot

    def deploy(self, loaded: Sequence[Loaded], origin: str = FILES) -> list[Finding]:
        """Serve these documents from now on; return what is to be told about them.

        A document that is broken, or whose route cannot be served, stops no other one. One
        that is not in `loaded` is no longer served; a broken one keeps its last good
        version.

        Args:
            origin: Where they come from; what is served from elsewhere stays.
        """
        former = self._snapshot
        self._loaded[origin] = loaded
        everything = [one for group in self._loaded.values() for one in group]
        following, findings = next_deployments(former.deployments, everything)
        self._snapshot, more = build_snapshot(following, self._own, self._shared, former)
        routes = (*self._own, *self._snapshot.served)
        self._is_guarded = any(route.access is not None for route in routes)
        told = [*findings, *more]
        wrong = {one.source_name for one in told if one.is_error}
        self.refused = tuple(sorted(wrong))
        # Of the rest nothing is new.
        names = {one.source_name for one in loaded}
        return [one for one in told if one.source_name in names]

    def plan_named(self, tenant: str, name: str) -> Plan | None:
        """Return the plan that is served for a tenant under this name.

        Of two, a file's, or the first.
        """
        own = {one.source_name for one in self._loaded[FILES]}
        found = [
            one
            for one in self._snapshot.deployments
            if one.plan.name == name and one.tenant == tenant
        ]
        found.sort(key=lambda one: one.source_name not in own)
        return found[0].plan if found else None

    def serves(self, loaded: Sequence[Loaded]) -> bool:
        """Tell whether the good ones of these documents are just what is served now."""
        stored = {one.source_name for one in self._loaded[STORED]}
        served = [
            one for one in self._snapshot.deployments if one.source_name not in stored
        ]
        good = [item for item in loaded if isinstance(item, Deployment)]
        return _versions(good) == _versions(served)

    async def handle(self, request: Request) -> Reply:
        """Return the reply to `request`.

        Raises:
            asyncio.CancelledError: The client left; calls under way were cancelled.
        """
        cors = self._guards.cors
        if cors is None:
            return await self._entry(request)
        reply = await self._entry(request)
        cors.tell(request.headers, request.method, reply)
        return reply

    async def _answer(self, request: Request) -> Reply:
        found = self._find(request)
        if isinstance(found, Found):
            return await found.target.handler(Exchange(request, found.values, _NOBODY))
        if isinstance(found, Refused):
            found = (await self._refused_too_often(request) or found).as_reply()
        return self._outside(found, request.headers, request.method)

    async def _refused_too_often(self, request: Request) -> Refused | None:
        """Count a request that no route answers; return what speaks against one more."""
        doors = self._guards.doors
        if doors.address is None:
            return None
        try:
            await doors.address.take(address_of(doors, request))
        except Refused as refused:
            return refused
        return None

    def admit(self, request: Request) -> Refused | None:
        """Return what can be said from its head alone against reading a body."""
        if not self._is_guarded:
            return None
        found = self._find(request)
        if not isinstance(found, Found):
            return None
        access = found.target.access
        return None if access is None else access.screen(request)

    def screen(self, request: Request) -> Refused | None:
        """Return what speaks against a request whose body has not come yet."""
        found = self._find(request)
        if isinstance(found, Refused):
            return found
        access = found.target.access if isinstance(found, Found) else None
        refusal = None if access is None else access.screen(request)
        if refusal is not None:
            return refusal
        is_webhook = isinstance(found, Found) and found.target is self._webhook
        if request.method in METHODS_WITH_BODY and not is_webhook:
            try:
                body_type(request)
            except Refused as refused:
                return refused
        return None

    def refuse(self, refused: Refused, headers: Mapping[bytes, bytes]) -> Reply:
        """Return the reply to a request that reaches no route, and count it.

        Args:
            headers: Those of the request, as far as they have come.
        """
        reply = self._outside(refused.as_reply(), headers)
        if self._guards.cors is not None:
            self._guards.cors.tell(headers, "", reply)
        return reply

    def _outside(
        self, reply: Reply, headers: Mapping[bytes, bytes], method: str = ""
    ) -> Reply:
        request_id = self._shared.identities.request_id(headers)
        reply.headers.append((b"x-request-id", request_id.encode()))
        self._nowhere.answered(reply.status, 0.0)
        if self._shared.watch is not None:
            told = Answered(method, "", reply.status, time.time(), 0.0, request_id)
            self._shared.watch(told)
        return reply

    def _find(self, request: Request) -> Found[Route] | Refused | Reply:
        """Return the route, or why there is none; a reply if no route is needed."""
        table, path = self._snapshot.table, request.path
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS" and path == "*":
            return Reply(204, [_allow(table.methods())])
        try:
            found = table.find(method, path)
        except Malformed as refused:
            return refused
        if isinstance(found, Found):
            return found
        if not found.methods and self._webhook is not None and path.startswith(WEBHOOKS):
            if method == "POST":
                return Found(self._webhook, ())
            found = Missing(("POST",))
        if not found.methods:
            return NotFound.at(path)
        allow = _allow(found.methods)
        if method == "OPTIONS":
            return Reply(204, [allow])
        text = f"{method} is not answered here; {allow[1].decode()} are"
        return MethodNotAllowed(text, headers=(allow,))

    async def prepare(self) -> None:
        """Open the store if there is use for it: what was under way goes on at once.

        One that cannot be reached is waited for beside what is served: `trouble`.

        Raises, where a workflow is served that needs it:
            StoreUnavailable: Its address is none.
            StoreTooNew: A newer version has changed it.
        """
        keeper = self._keeper
        if self._follower is not None:
            # First: executions that go on may run what is deployed as steps.
            serve = partial(self.deploy, origin=STORED)
            await self._follower.begin(serve, is_needed=self.needs_store)
        if keeper is not None:
            await self._open_kept(keeper)
        if self._on_prepare is not None:
            await self._on_prepare()
        for begin, _ in self._beside:
            await begin()

    async def _open_kept(self, keeper: Keeper) -> None:
        if self._keeps:
            await keeper.keep()
        elif keeper.is_there:
            try:
                await keeper.kept()
            except PlaitError as error:  # nothing that is served here needs it
                logger.warning("executions in the store stay where they are: %s", error)

    @property
    def needs_store(self) -> bool:
        """Whether the store is needed: for executions, or for there is nothing else."""
        return self._keeps or not self._loaded[FILES]

    @property
    def _keeps(self) -> bool:
        """Whether a workflow is served that needs the store of executions."""
        return any(_is_kept(one.plan) for one in self._snapshot.deployments)

    @property
    def trouble(self) -> str | None:
        """Why no execution can be kept, or nobody knows what is deployed, as a code; None:
        neither is so.
        """
        for one in (self._keeper, self._follower):
            if one is not None and one.trouble is not None:
                return one.trouble
        return None

    def accompany(
        self, begin: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]
    ) -> None:
        """Await `begin` when it is prepared, and `close` before anything else closes."""
        self._beside.append((begin, close))

    async def start_workflow(self, name: str, start: Start) -> None:
        """Start a durable execution of a workflow that is served, once for its key.

        Raises:
            UnknownWorkflow: None of that name is served.
            StoreUnavailable: Nothing was begun, or nothing is known of it.
            PlaitError: What else speaks against it.
        """
        durable = self._shared.durable
        if durable is None:
            raise UnknownWorkflow(name)
        await start_named(durable, self.plan_named, name, start)

    def begin(self) -> None:
        """Be ready: what /health/ready answers with 200."""
        self.state = "ready"

    def begin_drain(self) -> None:
        """Be ready no more; requests are still answered."""
        self.state = "draining"
        self._is_over.set()
        if self._keeper is not None:
            self._keeper.begin_drain()

    def cut(self) -> None:
        """Tell those whose executions run for them alone that these are not waited for."""
        self._is_cut.set()

    async def close(self) -> None:
        """Cancel what is done in the background, and let go of connections."""
        self.cut()
        closes: list[_Act] = [close for _, close in self._beside]
        closes += (self._guards.close, self._cache.close)
        if self._follower is not None:
            closes.append(self._follower.close)
        if self._keeper is not None:
            closes.append(self._keeper.close)
        if self._on_close is not None:
            closes.append(self._on_close)
        await close_all(*closes)


def _is_kept(plan: Plan) -> bool:
    may_last = plan.endpoint is not None and plan.endpoint.wait_ms is not None
    return plan.mode == "durable" or may_last


def _versions(deployments: Iterable[Deployment]) -> list[tuple[str, str]]:
    return sorted((item.source_name, item.plan.content_hash) for item in deployments)


def _allow(methods: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the `Allow` header: GET stands for HEAD too, and OPTIONS always goes."""
    known = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return b"allow", ", ".join(sorted(known)).encode()


def _recorder(services: Services, guards: Guards) -> Recorder | None:
    if services.audit is None:
        return None
    return Recorder(services.audit, guards.doors.proxies)
