"""Where the cycles of a run went."""
