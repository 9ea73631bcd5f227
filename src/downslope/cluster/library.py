"""Ray as a library: asked for when it is needed, and told to be quiet."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from downslope.errors import ClusterError
from downslope.words import say

QUIET = {
    "RAY_DEDUP_LOGS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_port_wait_time_s": "120",
}
"""Set where the caller has not: no reports of use leave the machine, and a busy one has time to start Ray."""
QUIET_INIT: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}
"""Given to Ray wherever it is started or joined: what it has to say is said by what it raises."""


@cache
def ray() -> Any:
    """Return Ray; raises ClusterError where it is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if has_token() and "ray" not in sys.modules:  # read once, at its import: nodes started later would differ
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return import_module("ray")
    except ImportError:
        raise ClusterError(
            say("Ray is not installed, and a cluster needs it; install it with: pip install 'downslope[cluster]'")
        ) from None


def has_token() -> bool:
    """Return whether there is a token where Ray looks: a node uses it by itself, one that joins does not."""
    given = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return given or (Path.home() / ".ray" / "auth_token").exists()
