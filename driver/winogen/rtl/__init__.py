"""The accelerator's logic, simulated: Verilator builds it on first use, ctypes drives it."""

from .build import BuildOptions, build_simulation
from .core import RtlCore

__all__ = ["BuildOptions", "RtlCore", "build_simulation"]
