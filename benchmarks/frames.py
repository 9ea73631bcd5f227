"""Frames a second of the room of networks in a browser while TensorFlow Playground's default network trains.

    python benchmarks/frames.py [--speed 1500] [--seconds 10] [--chromium /usr/bin/chromium]

Serves the playground, opens the room in Chromium without a screen, plays, and counts what a person would see: frames of
the screen in which the units' pictures were drawn anew from new data, and updates taken meanwhile. Prints one JSON
object. The default of TensorFlow Playground: circle, x1 and x2, layers of 4 and 2, tanh, rate 0.03, batches of 10.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

COUNT = """() => {
  const counted = { drawn: 0, times: [], spent: [] };
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (image, ...rest) {
    if (image.width === 640) counted.drawn += 1;  // the pictures of all units, side by side
    return put.call(this, image, ...rest);
  };
  const request = window.requestAnimationFrame;
  window.requestAnimationFrame = (call) => request((now) => {
    const began = performance.now();
    call(now);
    counted.spent.push(performance.now() - began);
  });
  const tick = (now) => { counted.times.push(now); request(tick); };
  request(tick);
  window.counted = counted;
}"""
READ = """() => {
  const { drawn, times, spent } = window.counted;
  const gaps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  const work = [...spent].sort((a, b) => a - b);
  const at = (values, share) => values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? null;
  return { drawn, screen: times.length, gap_p50: at(gaps, 0.5), gap_p95: at(gaps, 0.95), work_p50: at(work, 0.5),
           work_p95: at(work, 0.95) };
}"""


def where(page: object) -> int:
    """Return the update that the page says it stands at."""
    text = page.locator(".where").inner_text()  # type: ignore[attr-defined]
    return int(text.split()[1].strip(",").replace(",", ""))


def measure(link: str, chromium: str, speed: int, seconds: float, more: str = "") -> dict[str, float]:
    """Return what was counted while the room played."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(f"({COUNT})()")
        page.goto(f"{link}#room=network{more}")
        page.get_by_role("combobox", name="Speed").select_option(str(speed))
        page.get_by_role("button", name="Play").click()
        time.sleep(2.0)  # the first frames compile scripts
        page.evaluate("() => { counted.drawn = 0; counted.times = []; counted.spent = []; }")
        before, began = where(page), time.monotonic()
        time.sleep(seconds)
        counted, after, took = page.evaluate(READ), where(page), time.monotonic() - began
        browser.close()
    return {
        "frames_with_new_data_a_second": round(counted["drawn"] / took, 1),
        "frames_of_the_screen_a_second": round(counted["screen"] / took, 1),
        "updates_a_second": round((after - before) / took),
        **{name: round(counted[name], 2) for name in ("gap_p50", "gap_p95", "work_p50", "work_p95")},
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--more", default="", help="settings of the link, such as &h=8,8,8")
    asked = parser.parse_args()
    command = [sys.executable, "-m", "downslope", "play", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        try:
            link = server.stdout.readline().strip()
            print(json.dumps(measure(link, asked.chromium, asked.speed, asked.seconds, asked.more)))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
