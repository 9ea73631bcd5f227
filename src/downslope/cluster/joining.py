"""A Ray started or joined, left again, and what is said where that fails."""

from __future__ import annotations

import os
import secrets
import socket
import sys

from downslope.cluster.library import QUIET_INIT, has_token, ray
from downslope.cluster.own_ray import OwnRay
from downslope.errors import ClusterError
from downslope.machine import cores
from downslope.words import Sentence, say

STARTS = 3
"""Times that a Ray of this machine's own is started: on a busy machine its parts wait too short for one another."""
KNOCK_SECONDS = 10.0
"""To wait for an answer from an address."""
_own: list[OwnRay] = []
"""The Ray that this process started, if any."""


def join(address: str, workers: int) -> bool:
    """Start a Ray of this machine's own (address ``auto``) or join one; return whether it is to be left again.

    ``auto`` joins the one that RAY_ADDRESS names, if any. workers: that one of its own is to have room for. Raises
    ClusterError.
    """
    own = address == "auto" and not os.environ.get("RAY_ADDRESS")
    if own and "ray" not in sys.modules and not has_token():
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    if ray().is_initialized():
        return False
    if own:
        address = _start(max(workers, cores()))
    elif address != "auto":
        _knock(address)
    try:
        ray().init(address=address, **QUIET_INIT)
    except Exception as error:
        leave()
        raise ClusterError(_not_joined(address, own, error)) from None
    return True


def _start(processors: int) -> str:
    """Start a Ray of this machine's own and return its address; raises ClusterError."""
    for left in reversed(range(STARTS)):
        try:
            _own.append(OwnRay(processors))
            break
        except RuntimeError as error:
            if not left:
                raise ClusterError(_not_joined("", True, error)) from None
    return _own[-1].address


def _knock(address: str) -> None:
    """Raise ClusterError where nobody listens at ``host:port``, for which Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(_not_joined(address, False, error)) from None


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
    while _own:
        _own.pop().end()


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
