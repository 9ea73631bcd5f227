"""The playground in the browser: rooms on the real engine, a session for each page, and the local server.

``rooms`` are functions from settings to pictures; ``session`` answers messages with them and knows nothing of the
network, so that a notebook can hold one; ``server`` brings it to a browser on this machine.
"""
