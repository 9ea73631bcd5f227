"""Who may come in: the address to listen on, and the checks of ``Host``, ``Origin`` and token on every request."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from downslope.errors import OptionError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANY = ("0.0.0.0", "::")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class Gate:
    """What is asked of every request.

    token: in the link of the page. port: listened on. remote: pages of other machines may come. named: the host that
    was named beside the loopback ones.
    """

    token: str
    port: int
    remote: bool = False
    named: str = ""

    def knows_host(self, host: str) -> bool:
        """Say whether a request was meant for this server, and not led here by the name of another."""
        found = HOST.fullmatch(host)
        if found is None:
            return False
        name, port = found[1].lower(), int(found[2] or 80)
        own = name in (*LOOPBACK, self.named.lower(), f"[{self.named.lower()}]")
        if self.remote:
            return own or name == socket.gethostname().lower() or (self.named in ANY and _is_address(name))
        return own and port == self.port

    def knows_origin(self, origin: str, host: str) -> bool:
        """Say whether a line was opened by a page of this server."""
        schemes = ("http", "https") if self.remote else ("http",)
        return origin.lower() in [f"{scheme}://{host.lower()}" for scheme in schemes]

    def knows_token(self, asked: Mapping[str, str]) -> bool:
        """Say whether a request brings the token."""
        return secrets.compare_digest(asked.get("token", "").encode(), self.token.encode())


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def check_host(host: str, allow_remote: bool) -> None:
    """Raise OptionError where a host would let other machines in without leave."""
    if is_loopback(host) or allow_remote:
        return
    message = (
        f"--host {host} lets other machines reach the playground, and over a line that is not encrypted: whoever has "
        "its link can train on this machine and read the table that it was given; add --allow-remote if you mean that"
    )
    raise OptionError(message)


def is_loopback(host: str) -> bool:
    """Say whether a host can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free. Raises OptionError where there is none to be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"cannot listen on {host}, port {port}: {why}; name another --port, or leave it out"
        raise OptionError(message) from error
