"""The process of a helper: the gate as JSON on standard input, the number of an open socket as its argument."""

from __future__ import annotations

import json
import socket
import sys

from downslope.playground.gate import Gate
from downslope.playground.rooms import rooms
from downslope.playground.server import Playground, serve_beside


def main() -> None:
    """Serve until the socket closes."""
    gate = Gate(**json.load(sys.stdin))
    rooms()
    with socket.socket(fileno=int(sys.argv[1])) as line:
        serve_beside(Playground(gate), line)


if __name__ == "__main__":
    main()
