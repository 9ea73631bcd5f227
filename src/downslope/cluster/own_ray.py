"""A Ray of this machine's own, kept by a process that does nothing else: ``python -m downslope.cluster.own_ray 4``.

Ray forks to start its parts and runs Python between the fork and the program; in a process with JAX's or Numba's
threads that child can wait for ever on a lock that a thread of its parent held. A fresh process has no such threads.
It ends its Ray when its standard input closes: when the run that wanted it leaves, or dies in whatever way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from downslope.cluster.library import QUIET_INIT, ray

LOOPBACK = "127.0.0.1"
"""Where alone it listens: nobody else on the network is to run anything here."""


class OwnRay:
    """The process that keeps a Ray of this machine's own; ``address`` is where to join it."""

    def __init__(self, processors: int) -> None:
        """Start a Ray with room for so many processors; raises RuntimeError, in Ray's words, where it does not."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(processors)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"RAY_AUTH_MODE": "disabled"} | os.environ,  # what this process's Ray, imported by now, will use
            start_new_session=True,  # an interrupt at the terminal is for the run, which then leaves in good order
        )  # fmt: skip
        assert self._process.stdout is not None
        lines = (line for line in self._process.stdout if line.startswith(b"{"))  # Ray may have something to say too
        told: dict[str, str] = json.loads(next(lines, b"{}"))
        if "address" not in told:
            self.end()
            raise RuntimeError(told.get("failed", "its process ended at once"))
        self.address = told["address"]

    def end(self) -> None:
        """End the Ray and wait until it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def keep(processors: int) -> None:
    """Start a Ray, print its address as JSON, and end it when standard input closes."""
    told: dict[str, Any]
    try:
        ray().init("local", num_cpus=processors, include_dashboard=False, _node_ip_address=LOOPBACK, **QUIET_INIT)
        told = {"address": ray().get_runtime_context().gcs_address}
    except Exception as error:  # Ray raises that very class where a part does not start in time
        told = {"failed": str(error).strip() or type(error).__name__}
    print(json.dumps(told), flush=True)
    sys.stdin.buffer.read()
    ray().shutdown()


if __name__ == "__main__":
    keep(int(sys.argv[1]))
