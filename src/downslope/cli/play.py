"""``downslope play``: the playground in the browser, served from this machine."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from downslope.cli.shared import Target
from downslope.errors import OptionError

SERVER = "Server"


def play_command(
    source: Annotated[
        str,
        typer.Argument(help="a table of your own to begin with", metavar="[SOURCE]", show_default=False),
    ] = "",
    target: Target = "",
    port: Annotated[
        int,
        typer.Option("--port", help="port to listen on; 0 is any free one", min=0, max=65535, rich_help_panel=SERVER),
    ] = 0,
    host: Annotated[
        str, typer.Option("--host", help="address to listen on", metavar="ADDRESS", rich_help_panel=SERVER)
    ] = "127.0.0.1",
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote", help="let other machines in: whoever has the link can train on this machine",
            rich_help_panel=SERVER,
        ),
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="only print the link", rich_help_panel=SERVER)
    ] = False,
) -> None:  # fmt: skip
    """Serve the playground until Ctrl-C."""
    if target and not source:
        message = "--target names a column of a SOURCE; name the file too, or leave it out"
        raise OptionError(message)
    from downslope.playground.gate import Gate, check_host, is_loopback, listen, new_token

    check_host(host, allow_remote)
    begin = _sessions(source)
    listening = listen(host, port)
    try:
        from downslope.playground.server import Playground, serve

        remote = not is_loopback(host)
        gate = Gate(new_token(), listening.getsockname()[1], remote=remote, named=host)
        link = f"http://{_shown(host)}:{gate.port}/?token={gate.token}{_place(source, target)}"
        _announce(link, remote)
        if not no_browser:
            _open(link)
        serve(Playground(gate, begin), listening)
    finally:
        listening.close()


def _sessions(source: str) -> Any:
    """Return what makes the session of a page, with the table of a source in its room; raises InputError."""
    from downslope.playground.session import Session

    if not source:
        return Session
    from downslope.data.sources import read
    from downslope.playground.uploads import check_size

    table = read(source).arrow
    check_size(table.num_rows, table.num_columns)
    return partial(Session, table=table, name=Path(source).name)


def _place(source: str, target: str) -> str:
    """Return the fragment of a link that leads straight to a table of one's own."""
    if not source:
        return ""
    words = {"room": "your-data"} | ({"t": target} if target else {})
    return f"#{urlencode(words)}"


def _shown(host: str) -> str:
    """Return a host as it stands in a link."""
    import socket

    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _announce(link: str, remote: bool) -> None:
    sys.stdout.write(f"{link}\n")
    sys.stdout.flush()
    sys.stderr.write("The playground is open at the link above; Ctrl-C ends it.\n")
    if remote:
        sys.stderr.write(
            "Other machines can reach it, over a line that is not encrypted; give the link to no one else.\n"
        )


def _open(link: str) -> None:
    """Open the link once the server answers; a machine without a browser has the link in its terminal."""
    import threading
    import webbrowser

    timer = threading.Timer(0.5, webbrowser.open, (link,))
    timer.daemon = True
    timer.start()
