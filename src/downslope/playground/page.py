"""The one page that the server gives out, and the headers that keep it to itself."""

from __future__ import annotations

from pathlib import Path

FRONT = Path(__file__).resolve().parent.parent / "front"
"""The built front end: ``downslope.js`` and ``downslope.css``."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Downslope</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/front/downslope.css">
<script type="module" src="/start.js"></script>
</head>
<body>
<div id="downslope"></div>
<noscript>The playground needs JavaScript.</noscript>
</body>
</html>
"""

START = """import { playground } from "/front/downslope.js";
const line = new URL("/ws" + location.search, location.href);
line.protocol = line.protocol.replace("http", "ws");
playground({ address: line.href, el: document.getElementById("downslope") });
"""
"""What the page runs first: the front end, with the address of its line to the engine."""

NO_TOKEN = "This page needs the token of its link. Open the link that downslope play has printed.\n"
NOT_BUILT = (
    "The front end is not built. Install Downslope again, or build it with npm run build in web/, and load this page "
    "again.\n"
)


def headers(host: str) -> dict[str, str]:
    """Return the headers of every answer; host: by which the page was asked for."""
    policy = (
        "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:",
        "font-src 'self'", f"connect-src 'self' ws://{host} wss://{host}", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'",
    )  # fmt: skip
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
