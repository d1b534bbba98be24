"""`plait serve`: the gateway, for all documents that declare an endpoint."""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from plait.assembly import compose, serving, telemetry
from plait.assembly.connectors import Available
from plait.assembly.deployed import alerts_of
from plait.assembly.deploying import STORED_SUFFIX, LateRecords
from plait.assembly.documents import LoadedFile, load_documents
from plait.assembly.setting_types import NO_HOST
from plait.assembly.sources import Configured
from plait.cli.options import ConfigOption, EnvOption, ResolveOption, configured, connectors
from plait.cli.output import EXIT_FAILED, say, stop
from plait.cli.stores import StoreOption, give_up
from plait.cli.streams import write_if_heard
from plait.compile import Alert
from plait.gateway.app import Gateway
from plait.gateway.deployment import Deployment, Finding, Loaded
from plait.gateway.serving import Watch, serve_forever
from plait.gateway.snapshot import Snapshot
from plait.model.errors import PlaitError
from plait.model.record import record
from plait.operations.webhooks import webhook_path

_NAMES_SHOWN_MAX: Final = 8
_OTHERS: Final = ("engine", "runtime", "agent")

HostOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="What to listen on. Default: 127.0.0.1."),
]
RoleOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE",
        help="Run one part of the platform only: gateway, engine, runtime or agent. "
        "They find each other by the settings under `services`. Default: all parts.",
    ),
]


def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|DIR",
            help="Documents, and directories of them. Default: only what is deployed.",
        ),
    ] = None,
    host: HostOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="0: any free one. Default: 8080."
        ),
    ] = None,
    resolve: ResolveOption = None,
    env: EnvOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload",
            help="Serve edits at once. Requests under way finish on the version they began "
            "with; when an edit is broken, the last good version stays.",
        ),
    ] = False,
    role: RoleOption = None,
) -> None:
    """Answer the endpoints of workflows over HTTP.

    Serves every document that declares an `endpoint`, what is deployed in the store (see
    `plait deploy`), an API page at /docs, and its own state at /health. A document that is
    broken is reported, and the others are served. What is deployed while it runs is served
    within a second. Durable executions in the store go on where they were.

    The first SIGTERM or Ctrl-C lets requests under way finish, express executions that are
    streamed too, and ends all other streams; a second one cuts them off and a third one
    kills the process. Exit code 0: stopped, all requests answered. 1: some
    were cut off. 2: there is nothing to serve, or a setting is invalid.

    Examples:

    - `plait serve workflows/ --port 9000 --reload`

    - `plait serve profile.yaml --resolve users=127.0.0.1:8001`

    - `plait deploy workflows/ && plait serve`

    - `plait serve workflows/ --role engine`
    """
    if host == "":
        stop(f"--host: {NO_HOST}")
    sections: dict[str, dict[str, object]] = {
        "gateway": {"host": host, "port": port},
        "store": {"url": store},
    }
    settings = configured(config, resolve, env, sections)
    chosen = _Chosen(settings, connectors(), paths or [], role)
    if reload and not chosen.paths:
        stop("--reload: name the files or directories that it shall watch")
    _begin_telemetry(settings)
    if role in (None, "gateway"):
        _serve_gateway(chosen, reload=reload)
    elif role in _OTHERS:
        _serve_role(chosen)
    else:
        stop(f"--role: unknown role '{role}'; known: gateway, {', '.join(_OTHERS)}")


def _begin_telemetry(settings: Configured) -> None:
    telemetry.begin_logs(settings, sys.stderr)
    try:
        telemetry.begin_errors(settings)
    except PlaitError as error:
        give_up(error)


@record
class _Chosen:
    """What is to be served."""

    settings: Configured
    available: Sequence[Available]
    paths: Sequence[str]
    role: str | None

    def load(self) -> list[LoadedFile]:
        """Return the documents, as they are now."""
        catalog = compose.catalog(self.available)
        return load_documents(
            self.paths, catalog, compose.source_limits(self.settings.settings)
        )


def _serve_gateway(chosen: _Chosen, *, reload: bool) -> None:
    files = chosen.load()
    if chosen.paths and not reload:
        _check_served(files, chosen.settings)
    service = _Service(chosen, files)
    _serve(service, service.watch() if reload else None)


def _serve_role(chosen: _Chosen) -> None:
    files = chosen.load()
    for file in files:
        for line in file.findings():
            say(line)
    try:
        _roles().serve_role(
            chosen.role,
            chosen.settings,
            chosen.available,
            serving.deployments(files),
            [*alerts_of(files, {}).values()],
            _tell,
        )
    except PlaitError as error:
        give_up(error)
    except OSError as error:
        stop(f"the {chosen.role} cannot listen on {error}")


def _tell(listening: str) -> None:
    write_if_heard(listening)
    telemetry.warm_up_logs()


def _roles() -> Any:
    """Return what runs roles. gRPC takes long to import, and most never need it."""
    return importlib.import_module("plait.assembly.roles")


def _check_served(files: Sequence[LoadedFile], settings: Configured) -> None:
    """End the command when there is nothing to serve."""
    if any(_is_reached(file) for file in files) or _has_stored(settings):
        return
    for file in files:
        for line in file.findings():
            say(line)
    stop(_nothing_to_serve(files))


class _Service:
    """What is served: made inside the event loop, told of once it listens."""

    def __init__(self, chosen: _Chosen, files: Sequence[LoadedFile]) -> None:
        self.settings = chosen.settings
        self._chosen = chosen
        self._files = files
        self._gateway: Gateway | None = None
        self._alerts: dict[str, Alert] = {}
        self._watching: Any = None

    def build(self) -> Gateway:
        """Make the gateway, its documents deployed."""
        chosen = self._chosen
        build = serving.gateway if chosen.role is None else _roles().gateway
        self._gateway = gateway = build(self.settings, chosen.available, tell_key)
        report(gateway.deploy(serving.deployments(self._files)))
        self._watch_alerts(gateway, alerts_of(self._files, {}))
        return gateway

    def _watch_alerts(self, gateway: Gateway, alerts: dict[str, Alert]) -> None:
        watched = [*alerts.values()]
        if self._watching is not None:
            self._watching.replace(watched)
        elif watched:
            room = importlib.import_module("plait.assembly.alerts")
            self._watching = watching = room.watch_alerts(
                self.settings,
                self._chosen.available,
                gateway.metrics.registry,
                gateway.start_workflow,
                watched,
            )
            gateway.accompany(watching.begin, watching.close)
        self._alerts = alerts

    def watch(self) -> Watch:
        """Return what is watched for edits; a file is watched through its folder."""

        def load() -> list[Loaded]:
            self._files = self._chosen.load()
            return serving.deployments(self._files)

        def hear(findings: list[Finding]) -> None:
            say("reloaded")
            report(findings)

        paths = tuple(sorted(map(Path, self._chosen.paths)))
        return Watch(paths, load, hear, self._renew_alerts)

    async def _renew_alerts(self) -> None:
        """Watch the alerts of the files as they were loaded last."""
        assert self._gateway is not None
        alerts = alerts_of(self._files, self._alerts)
        if alerts == self._alerts:
            return
        try:
            self._watch_alerts(self._gateway, alerts)
        except PlaitError as error:
            say(f"alerts stay as they were: {error}")
            return
        if self._watching is not None:
            await self._watching.begin()

    def announce(self, listening: str) -> None:
        """Say what is served, and where."""
        snapshot = Snapshot() if self._gateway is None else self._gateway.snapshot
        for route in snapshot.served:
            if route.deployment is not None:
                _announce(route.method, route.template, route.deployment)
        for one in snapshot.deployments:
            for webhook in one.plan.webhooks:
                path = webhook_path(one.tenant, webhook.path)
                _announce("POST", f"/webhooks{path}", one)
        url = listening.rpartition(" ")[2]
        has_page = self.settings.settings.gateway.docs
        page = f"API page: {url}/docs; " if has_page else ""
        write_if_heard(f"{listening} ({page}Ctrl-C stops)")
        telemetry.warm_up_logs()


def _announce(method: str, path: str, deployment: Deployment) -> None:
    name, source = deployment.plan.name, deployment.source_name
    shown = source if source.endswith(STORED_SUFFIX) else f"{name} ({source})"
    write_if_heard(f"  {method:6} {path}  →  {shown}")


def tell_key(key: str) -> None:
    """Show the first admin key of a store, which is kept nowhere."""
    say("this store's first admin key; keep it now, it is not shown again:")
    say(f"  {key}")


def _serve(service: _Service, watch: Watch | None) -> None:
    own = service.settings.settings.gateway
    try:
        cut_off = serve_forever(
            service.build,
            host=own.host,
            port=own.port,
            limits=serving.connection_limits(service.settings.settings),
            drain_ms_max=own.drain_timeout,
            watch=watch,
            announce=service.announce,
        )
    except PlaitError as error:
        give_up(error)
    except OSError as error:
        stop(f"cannot listen on {own.host}:{own.port}: {_why_not(error)}")
    if cut_off:
        stop(f"{cut_off} requests were cut off", code=EXIT_FAILED)


def _has_stored(settings: Configured) -> bool:
    """Tell whether anything was deployed in the store; one that cannot be asked may."""
    records = LateRecords(settings.settings.store.url)

    async def ask() -> bool:
        try:
            return bool(records.is_there and await records.find("deployment", None))
        except PlaitError:
            return True
        finally:
            await records.close()

    return asyncio.run(ask())


def _why_not(error: OSError) -> str:
    """Return the system's own words; asyncio puts the address before them once more."""
    if error.errno == errno.EADDRINUSE:
        return "it is already in use; stop what listens there, or choose another --port"
    if error.errno is None or error.errno <= 0:  # of looking up a name
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()


def _nothing_to_serve(files: Sequence[LoadedFile]) -> str:
    valid = [file.name for file in files if file.compiled is not None]
    if not valid:
        return "nothing to serve: no document here is valid"
    shown = ", ".join(valid[:_NAMES_SHOWN_MAX])
    more = len(valid) - _NAMES_SHOWN_MAX
    others = f" … and {more} more" if more > 0 else ""
    return (
        f"nothing to serve: no `endpoint` in {shown}{others}; "
        "for example endpoint: {method: GET, path: /hello}"
    )


def report(findings: Iterable[Finding]) -> None:
    """Write findings to standard error."""
    for finding in findings:
        say(finding.render())


def _is_reached(file: LoadedFile) -> bool:
    """Tell whether requests can reach a document."""
    if file.compiled is None:
        return False
    plan = file.compiled.plan
    return plan.endpoint is not None or bool(plan.webhooks)
