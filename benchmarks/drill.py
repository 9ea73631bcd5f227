"""A fault drill: break runs on a cluster at random instants, and hold each to the answer of the run that nothing broke.

``python -m benchmarks.drill [FAULTS] [SEED]`` starts a Ray of its own and does so 50 times: workers are killed and
stopped, the driver is killed and resumed with another number of workers, the disk of the cache is filled, and, for
root with ``ip netns``, the network between two nodes in namespaces of their own is cut. Every run has to end, by itself
or resumed, with the same rows and the same weights, bit for bit: a shard lost or counted twice would show in both.
"""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

FILES, ROWS = 12, 20_000
SETTINGS: dict[str, Any] = {
    "method": "full-batch", "tolerance": 0.0, "epochs": 250, "checkpoint_seconds": 0.1, "l2": 1e-4,
}  # fmt: skip
SILENCE = 8.0
"""Seconds after which a worker counts as hanging here."""
PATIENCE = 300.0
"""Most seconds for a run to end."""
STARTS = 4
"""Times that a node is started: on a busy machine its parts wait too short for one another."""
PORT, CPUS = 26_379, 4
NAMESPACES, ADDRESSES = ("downslope-a", "downslope-b"), ("10.77.13.1", "10.77.13.2")
RAY_START = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block")
QUICK = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "2000", "RAY_USAGE_STATS_ENABLED": "0"}


def write_table(folder: Path) -> None:
    """Write the files that are trained on."""
    rng = np.random.default_rng(7)
    for index in range(FILES):
        numbers = rng.normal(size=(ROWS, 8)).astype(np.float32)
        late = numbers @ np.linspace(-1, 1, 8) + rng.logistic(size=ROWS) > 0
        columns = {f"x{place}": numbers[:, place] for place in range(8)}
        parquet.write_table(pa.table({**columns, "late": late}), folder / f"part-{index:02d}.parquet")


def drive(source: str, address: str, workers: int, runs: str, cache: str) -> None:
    """Fit, or take up the run that was cut short, and print what goes on and what came of it."""
    from downslope import fit
    from downslope.cluster import crew
    from downslope.errors import DownslopeError
    from downslope.fitting import resume
    from downslope.store import list_unfinished

    crew.SILENCE_SECONDS, crew.PULSE_SECONDS = SILENCE, 1.0

    def tell(event: str, what: object) -> None:
        del what
        print("told", event, flush=True)

    def watch(step: Any) -> None:
        print("step", step.update, flush=True)

    try:
        if list_unfinished(runs):
            print("resumed", flush=True)
            run = resume("latest", runs, cluster=address, workers=workers, watch=watch, tell=tell)
        else:
            run = fit(
                source, "late", runs=runs, cluster=address, workers=workers, cache=cache, watch=watch, tell=tell,
                **SETTINGS,
            )  # fmt: skip
    except DownslopeError as error:
        print("error", str(error), flush=True)
        sys.exit(2)
    weights: Any = run.model.point.weights  # type: ignore[union-attr]
    told = {
        "weights": zlib.crc32(weights.tobytes()), "train": run.data.train_rows, "held": run.data.holdout_rows,
        "objective": run.objective, "passes": run.passes,
    }  # fmt: skip
    print("ended", json.dumps(told), json.dumps(run.environment["cluster"]), flush=True)


@dataclass
class Driver:
    """A driver in a process of its own, and the lines that it prints."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    @classmethod
    def start(cls, place: Place, folder: Path, workers: int, cache: Path) -> Driver:
        """Start a driver on a number of workers."""
        asked = [str(folder / "table" / "*.parquet"), place.address, str(workers), str(folder / "runs"), str(cache)]
        process = subprocess.Popen(
            [*place.inside, sys.executable, "-m", "benchmarks.drill", "drive", *asked], stdout=subprocess.PIPE,
            stderr=(folder / "errors.txt").open("a"), text=True,
        )  # fmt: skip
        driver = cls(process)
        threading.Thread(target=driver._listen, daemon=True).start()
        return driver

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put("")

    def until(self, *heads: str, steps: int = 0) -> str:
        """Return the first line that begins with one of some words, "" where the driver is gone."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            with suppress(queue.Empty):
                line = self.lines.get(timeout=1.0)
                if line.startswith("step") and "step" in heads and int(line.split()[1]) < steps:
                    continue
                if not line:
                    self.lines.put("")  # for whoever listens next
                if not line or line.startswith((*heads, "ended", "error")):
                    return line
        raise TimeoutError("a run did not end")


@dataclass
class Place:
    """A Ray of the drill's own. inside: the words before a command that run it there."""

    address: str
    inside: tuple[str, ...] = ()
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_node(self, inside: tuple[str, ...], *words: str) -> None:
        """Start a node and wait until it runs."""
        base = PORT + 10 * (len(self.nodes) + 1)
        ports = (
            f"--dashboard-agent-grpc-port={base}", f"--dashboard-agent-listen-port={base + 1}",
            f"--metrics-export-port={base + 2}", f"--runtime-env-agent-port={base + 3}",
        )  # fmt: skip
        said = Path(tempfile.mkstemp(prefix="downslope-node-")[1])
        for _ in range(STARTS):
            with said.open("wb") as file:
                node = subprocess.Popen(
                    [*inside, *RAY_START, f"--num-cpus={CPUS}", *ports, *words], stdout=file, stderr=subprocess.STDOUT,
                    env=os.environ | QUICK, start_new_session=True,
                )  # fmt: skip
            while node.poll() is None and b"Ray runtime started" not in said.read_bytes():
                time.sleep(0.2)
            if node.poll() is None:
                self.nodes.append(node)
                said.unlink()
                return
        raise RuntimeError(said.read_text())

    def workers(self) -> list[int]:
        """Return the processes of this Ray that are workers of a crew."""
        return [process for process in descendants([each.pid for each in self.nodes]) if is_worker(process)]

    def end(self) -> None:
        """End all nodes, and what they started."""
        for process in [*descendants([each.pid for each in self.nodes]), *(each.pid for each in self.nodes)]:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        for node in self.nodes:
            node.wait()


def descendants(roots: list[int]) -> list[int]:
    """Return the processes that some have started, and those that these have."""
    parents: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            with suppress(OSError):
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(each.name))
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def is_worker(process: int) -> bool:
    """Return whether a process holds shards."""
    with suppress(OSError):
        return b"ray::Worker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


@contextmanager
def one_node() -> Iterator[Place]:
    """A Ray of one node on this machine."""
    here = import_module("ray").util.get_node_ip_address()
    place = Place(f"{here}:{PORT}")
    words = ("--head", f"--port={PORT}", "--include-dashboard=false", f"--node-ip-address={here}")
    try:
        place.start_node((), *words)
        yield place
    finally:
        place.end()


@contextmanager
def two_nodes() -> Iterator[Place]:
    """A Ray of two nodes, each in a network namespace of its own, joined by a pair of virtual devices."""
    first, second = NAMESPACES
    run("ip", "netns", "add", first)
    run("ip", "netns", "add", second)
    place = Place(f"{ADDRESSES[0]}:{PORT}", ("ip", "netns", "exec", first))
    try:
        run("ip", "link", "add", "drill0", "netns", first, "type", "veth", "peer", "name", "drill1", "netns", second)
        for name, device, address in zip(NAMESPACES, ("drill0", "drill1"), ADDRESSES, strict=True):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", device)
            run("ip", "-n", name, "link", "set", device, "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        head = ("--head", f"--port={PORT}", "--include-dashboard=false", f"--node-ip-address={ADDRESSES[0]}")
        place.start_node(place.inside, *head)
        join_second(place)
        yield place
    finally:
        place.end()
        for name in NAMESPACES:
            run("ip", "netns", "del", name)


def join_second(place: Place) -> None:
    """Let the node of the second namespace join."""
    inside = ("ip", "netns", "exec", NAMESPACES[1])
    place.start_node(inside, f"--address={place.address}", f"--node-ip-address={ADDRESSES[1]}")


def run(*words: str) -> None:
    """Run a command of the system."""
    subprocess.run(words, check=True, capture_output=True)


@dataclass
class Drill:
    """What was broken so far, and what came of it."""

    folder: Path
    faults: int
    chance: random.Random
    expected: dict[str, Any] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    runs: int = 0

    @property
    def left(self) -> int:
        """Faults still to come."""
        return self.faults - self.done.total()

    def unbroken(self, place: Place) -> None:
        """Run once with nothing broken: the answer that all others have to give."""
        self.expected = self.finish(Driver.start(place, self.folder, 2, self.folder / "cache"))
        assert self.expected["train"] + self.expected["held"] == FILES * ROWS, self.expected

    def finish(self, driver: Driver) -> dict[str, Any]:
        """Return what a run came to; raises where it did not end well."""
        line = driver.until("ended")
        driver.process.wait()
        if not line.startswith("ended"):
            raise AssertionError(line or f"the driver ended with {driver.process.returncode}")
        self.runs += 1
        shutil.rmtree(self.folder / "runs")
        return json.JSONDecoder().raw_decode(line.removeprefix("ended "))[0]

    def check(self, driver: Driver) -> None:
        """Hold a run to the answer."""
        found = self.finish(driver)
        if found != self.expected:
            raise AssertionError(f"{found} is not {self.expected}")

    def hit(self, kind: str) -> None:
        """Count a fault."""
        self.done[kind] += 1
        print(f"{self.done.total():3d} {kind}", flush=True)

    def break_workers(self, place: Place) -> None:
        """Kill or stop workers, some while they encode, and kill the driver now and then."""
        fresh = self.chance.random() < 0.4
        cache = self.folder / ("fresh" if fresh else "cache")
        driver = Driver.start(place, self.folder, self.chance.randint(1, 3), cache)
        for _ in range(min(self.chance.randint(1, 3), self.left)):
            early = fresh and self.chance.random() < 0.5
            driver.until("told encoding" if early else "step", steps=0 if early else self.chance.randint(1, 240))
            if self.chance.random() < 0.35:
                driver.process.kill()
                driver.process.wait()
                self.hit("driver killed")
                driver = Driver.start(place, self.folder, self.chance.randint(1, 3), cache)
                self.resumed += 1
            elif victims := place.workers():
                kind = self.chance.choice(("worker killed", "worker killed", "worker stopped"))
                number = signal.SIGKILL if kind == "worker killed" else signal.SIGSTOP
                with suppress(ProcessLookupError):
                    os.kill(self.chance.choice(victims), number)
                    self.hit(kind)
        self.check(driver)
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)

    def fill_disk(self, place: Place) -> None:
        """Fill the disk of the cache before blocks are written; room made, the next run has to end well."""
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk))
        try:
            driver = Driver.start(place, self.folder, 2, disk)
            driver.until("told scanning")
            fill(disk / "filling")
            line = driver.until("ended")
            driver.process.wait()
            self.hit("disk filled")
            if not line.startswith("error") or "make room" not in line or list(disk.glob("*/*/*.block")):
                raise AssertionError(f"a full disk gave: {line}")
            (disk / "filling").unlink()
            self.check(Driver.start(place, self.folder, 2, disk))
        finally:
            run("umount", "-l", str(disk))

    def cut_network(self, place: Place) -> None:
        """Cut the second node off in the midst of a run; the first has room for its workers."""
        driver = Driver.start(place, self.folder, CPUS, self.folder / "cache")
        driver.until("step", steps=self.chance.randint(1, 200))
        there = [each for each in descendants([place.nodes[-1].pid]) if is_worker(each)]
        run("ip", "-n", NAMESPACES[1], "link", "set", "drill1", "down")
        self.hit(f"network cut, {len(there)} workers behind it")
        self.check(driver)
        lost = place.nodes.pop()
        Place("", (), [lost]).end()
        run("ip", "-n", NAMESPACES[1], "link", "set", "drill1", "up")
        join_second(place)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass


def main(faults: int = 50, seed: int = 0) -> None:
    """Break runs until there were so many faults, and print what came of it."""
    began = time.monotonic()
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="downslope-drill-") as name:
        folder = Path(name)
        (folder / "table").mkdir()
        write_table(folder / "table")
        drill = Drill(folder, faults, random.Random(seed))
        cuts = faults // 10 if root and shutil.which("ip") else 0
        disks = faults // 10 if root else 0
        with one_node() as place:
            drill.unbroken(place)
            for _ in range(disks):
                drill.fill_disk(place)
            while drill.left > cuts:
                drill.break_workers(place)
        if cuts:
            with two_nodes() as place:
                for _ in range(cuts):
                    drill.cut_network(place)
        else:
            print("the network was not cut: that needs root and ip netns")
        for kind, times in sorted(drill.done.items()):
            print(f"{times:3d} times: {kind}")
        print(
            f"{drill.done.total()} faults in {drill.runs} runs, {drill.resumed} of them resumed: all ended with "
            f"{drill.expected['train'] + drill.expected['held']:,} rows and the same weights, bit for bit, "
            f"in {time.monotonic() - began:.0f} s"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["drive"]:
        source, address, workers, runs, cache = sys.argv[2:]
        drive(source, address, int(workers), runs, cache)
    else:
        main(*map(int, sys.argv[1:]))
