"""The emulated accelerator: executes the instruction stream as the hardware does.

- :mod:`machine` executes one instruction at a time on modelled on-chip memories, with the
  hardware's own arithmetic. It is the definition of what an instruction means.
- :mod:`fuse` recognises what a stream computes and merges its instructions into whole layers;
  :mod:`fast` computes those through BLAS, with the same bits.
- :mod:`core` is the register file that starts a stream and reports how it ended.
"""

from winogen.emulation.emulator.core import EmulatedCore

__all__ = ["EmulatedCore"]
