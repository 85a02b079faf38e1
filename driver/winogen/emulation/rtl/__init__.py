"""The accelerator's logic, simulated: Verilator builds it on first use, ctypes drives it."""

from winogen.emulation.rtl.build import BuildOptions, build_simulation
from winogen.emulation.rtl.core import RtlCore

__all__ = ["BuildOptions", "RtlCore", "build_simulation"]
