"""Ray: asked for when it is needed, started or joined, and what is said where that fails."""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from downslope.errors import ClusterError
from downslope.words import Sentence, say

QUIET = {
    "RAY_DEDUP_LOGS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_port_wait_time_s": "120",
}
"""Set where the caller has not: no reports of use leave the machine, and a busy one has time to start Ray."""
STARTS = 3
"""Times that a Ray of this machine's own is started: on a busy machine its parts wait too short for one another."""
KNOCK_SECONDS = 10.0
"""To wait for an answer from an address."""


@cache
def ray() -> Any:
    """Return Ray; raises ClusterError where it is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if _has_token() and "ray" not in sys.modules:  # read once, at its import: nodes started later would differ
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return import_module("ray")
    except ImportError:
        raise ClusterError(
            say("Ray is not installed, and a cluster needs it; install it with: pip install 'downslope[cluster]'")
        ) from None


def _has_token() -> bool:
    """Return whether there is a token where Ray looks: a node uses it by itself, one that joins does not."""
    given = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return given or (Path.home() / ".ray" / "auth_token").exists()


def join(address: str, workers: int) -> bool:
    """Start a Ray of this machine's own (address ``auto``) or join one; return whether it is to be left again.

    ``auto`` joins the one that RAY_ADDRESS names, if any. workers: that one of its own is to have room for. Raises
    ClusterError.
    """
    if ray().is_initialized():
        return False
    own = address == "auto" and not os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}
    if own:
        options |= {"address": "local", "num_cpus": max(workers, cores()), "include_dashboard": False}
    elif address != "auto":
        _knock(address)
        options["address"] = address
    for left in reversed(range(STARTS if own else 1)):
        try:
            ray().init(**options)
            break
        except Exception as error:  # Ray raises that very class where a node does not start in time
            ray().shutdown()
            if not left:
                raise ClusterError(_not_joined(address, own, error)) from None
    return True


def _knock(address: str) -> None:
    """Raise ClusterError where nobody listens at ``host:port``, for which Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(_not_joined(address, False, error)) from None


def cores() -> int:
    """Return the processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processors() -> int:
    """Return the processors of the cluster."""
    return int(ray().cluster_resources().get("CPU", 0))


def check_room(workers: int, threads: int) -> None:
    """Raise ClusterError where the cluster will never have the processors for the workers."""
    there = processors()
    if there < workers * threads:
        raise ClusterError(
            say(
                "the cluster has {there} processors, and {workers} workers of {threads} each do not fit; set --workers",
                there=there, workers=workers, threads=threads,
            )
        )  # fmt: skip


def leave() -> None:
    """Leave the cluster; one that was started here ends."""
    ray().shutdown()


def _not_joined(address: str, own: bool, error: Exception) -> Sentence:
    told = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    words = str(told).splitlines()[0].rstrip(".")
    if own:
        return say("Ray could not be started on this machine: {words}; look at free memory and ports", words=words)
    return say(
        "no Ray cluster answers at {address}: {words}; start one with `ray start --head`, set RAY_AUTH_TOKEN where it "
        "asks for a token, or give --cluster auto",
        address=address, words=words,
    )  # fmt: skip
