"""What one page, and all pages together, may ask of the server. Each limit says what it is there for."""

from __future__ import annotations

MESSAGE_BYTES = 4 << 20
"""Longest message from a page: a piece of an upload and its JSON."""
JSON_BYTES = 256 << 10
"""Longest JSON of a message."""
PIECE_BYTES = 2 << 20
"""Longest piece of an upload."""
UPLOAD_BYTES = 200 << 20
"""Largest table that is read from a page."""
UPLOADS_BYTES = 1 << 30
"""Bytes of the tables of all pages of one process together, so that many pages cannot fill the memory."""
PENDING = 64
"""Messages of a page that may wait to be answered; a page that sends more is sent away."""
MESSAGES_A_SECOND = 500
"""Messages a second that a page may send over ``MESSAGES_SECONDS``: a drag sends 120, an upload in pieces fewer."""
MESSAGES_SECONDS = 4.0
SESSIONS = 200
"""Pages of one process at once; ``helpers`` says how many processes there are."""
FRAMES_A_SECOND = 60.0
"""Frames that a running room sends at most."""
UPDATES_A_SECOND = 20_000.0
"""Updates a second that a running room takes at most."""
PLAYING_SECONDS = 3600.0
"""Longest that a room runs without a message from its page."""
ROWS = 2_000_000
"""Rows of a table of one's own."""
COLUMNS = 10_000
"""Columns of a table of one's own."""
CELLS = 50_000_000
"""Cells of a table of one's own."""
TABLE_BYTES = 1 << 30
"""Bytes of a table of one's own in memory."""
FIT_SECONDS = 120.0
"""Longest fit of one's own table."""
SHOWN_ROWS = 1000
"""Rows of two columns of one's own in an instant room, where every drag goes over all of them."""
SWEEP_UPDATES = 5000
"""Updates of each training of a map of learning rates by batch sizes, at most."""
SWEEP_SECONDS = 90.0
"""Longest that such a map is worked on."""
REPLAY_FRAMES = 80
"""Frames of a running room in a replay page, at most: with gaps that grow, more of them show little more."""
REPLAY_BYTES = 6_000_000
"""Size of such a page, so that it can be sent by mail; fewer frames of a large network fit in."""
REPLAY_SECONDS = 60.0
"""Longest that such a page is worked on."""
