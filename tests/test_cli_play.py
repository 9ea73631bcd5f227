"""``downslope play`` as a user runs it: the link it prints, the table it brings, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from websockets.sync.client import connect

from downslope.cli.running import BAD_INPUT, run
from downslope.playground.wire import pack, unpack


def test_a_table_is_open_at_once_and_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    table = tmp_path / "cars.csv"
    table.write_text("pounds,miles\n3.5,18\n3.69,15\n3.44,18\n3.43,16\n4.34,15\n4.42,14\n2.37,24\n")
    command = [sys.executable, "-m", "downslope", "play", str(table), "--target", "miles", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link = urlparse(process.stdout.readline().strip())
            assert link.hostname == "127.0.0.1"
            assert parse_qs(link.fragment) == {"room": ["your-data"], "t": ["miles"]}
            line = f"ws://{link.netloc}/ws?{link.query}"
            with connect(line, origin=f"http://{link.netloc}", compression=None) as page:
                state = {"target": "miles", "holdout": 0.0}
                page.send(pack({"do": "open", "room": "your-data", "id": 1, "state": state}))
                content, _ = unpack(page.recv(timeout=20))
                assert (content["table"]["name"], content["table"]["rows"]) == ("cars.csv", 7)
                page.send(pack({"do": "fit", "room": "your-data", "id": 2}))
                while content["is"] not in ("fitted", "error"):
                    content, _ = unpack(page.recv(timeout=60))
            assert content["is"] == "fitted", content
            assert content["objective"] == pytest.approx(1.470, abs=5e-4)
        finally:
            process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert told.splitlines() == ["The playground is open at the link above; Ctrl-C ends it."]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"), (["--target", "y"], "SOURCE"), (["nowhere.csv"], "nowhere.csv"),
        (["--port", "70000"], "port"),
    ],
)  # fmt: skip
def test_bad_usage_is_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["play", *arguments, "--no-browser"]) == BAD_INPUT
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert words in told
