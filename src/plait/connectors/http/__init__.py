"""The `http` connector: one definition of the request, one client that performs it.

Not here: which hosts may be called (plait.connectors.egress).
"""

from plait.connectors.http.connector import HttpCalls
from plait.connectors.http.settings import HttpSettings
from plait.connectors.http.spec import HttpRequest, default_effect
from plait.connectors.http.url import host_is_literal

__all__ = ["HttpCalls", "HttpRequest", "HttpSettings", "default_effect", "host_is_literal"]
