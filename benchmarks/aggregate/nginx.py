"""Private nginx instances: the upstream of all peers, and the peer nginx + Lua.

Each has a temporary directory of its own and stays in the foreground, in one process, so
that it can be pinned and stopped like any other server.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from benchmarks.aggregate import data

FRAME: Final = """
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/error.log;
{modules}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
{content}
}}
"""

LUA_MODULES: Final = ("ndk_http_module.so", "ngx_http_lua_module.so")


def missing_nginx() -> str | None:
    """Return what must be installed before nginx can run; None if nothing."""
    return None if shutil.which("nginx") else "nginx"


def missing_lua() -> str | None:
    """Return what must be installed before nginx can run Lua; None if nothing."""
    if missing_nginx():
        return "nginx"
    folder = _modules_folder()
    absent = [name for name in LUA_MODULES if not (folder / name).exists()]
    return "libnginx-mod-http-lua" if absent else None


def _modules_folder() -> Path:
    done = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"--modules-path=(\S+)", done.stderr)
    return Path(found[1] if found else "/usr/lib/nginx/modules")


def upstream_command(home: Path, ports: list[int]) -> list[str]:
    """Write the upstream's configuration into `home`; return how to start it.

    Three servers in one process: users, orders, offers, on `ports` in this order.
    """
    users, orders, offers = ports
    replies = {
        users: {f"/api/users/{id_}": data.user(id_) for id_ in _ids()},
        orders: {"/api/orders": data.orders(data.VIP_ID)},
        offers: {f"/api/offers/{id_}": data.offers(id_) for id_ in _ids()},
    }
    # The orders of the second user stand at the same path, told apart by the query.
    other = json.dumps(data.orders(data.PLAIN_ID))
    choice = f"if ($arg_user_id = {data.PLAIN_ID}) {{ return 200 '{other}'; }}"
    content = "\n".join(
        _server(port, paths, choice if port == orders else "")
        for port, paths in replies.items()
    )
    return _write(home, content, "")


def _ids() -> tuple[str, str]:
    return data.VIP_ID, data.PLAIN_ID


def _server(port: int, replies: dict[str, dict[str, Any]], choice: str) -> str:
    locations = "\n".join(
        f"location = {path} {{ {choice} return 200 '{json.dumps(reply)}'; }}"
        for path, reply in replies.items()
    )
    return f"server {{ listen 127.0.0.1:{port} backlog=1024;\n{locations}\n}}"


def lua_command(home: Path, port: int, upstream_ports: list[int]) -> list[str]:
    """Write the configuration of the peer nginx + Lua; return how to start it."""
    text = Path(__file__).with_name("nginx_lua.conf").read_text()
    values = {"PORT": port, "TIMEOUT_MS": data.CALL_TIMEOUT_MS}
    values |= dict(zip(("USERS", "ORDERS", "OFFERS"), upstream_ports, strict=True))
    content = re.sub(r"@(\w+)@", lambda found: str(values[found[1]]), text)
    folder = _modules_folder()
    modules = "\n".join(f"load_module {folder / name};" for name in LUA_MODULES)
    return _write(home, content, modules)


def _write(home: Path, content: str, modules: str) -> list[str]:
    file = home / "nginx.conf"
    file.write_text(FRAME.format(home=home, content=content, modules=modules))
    return ["nginx", "-p", str(home), "-e", str(home / "error.log"), "-c", str(file)]
