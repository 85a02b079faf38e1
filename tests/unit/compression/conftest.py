"""Training on one thread: tests run side by side, and threads would wait for each other."""

from __future__ import annotations

from contextlib import suppress

with suppress(ImportError):
    import torch

    torch.set_num_threads(1)
