"""Measured against the paper and the peers: cycles, energy and resources, as tables and a page."""
