"""pynq, or one sentence about what is missing: it needs more than it asks pip for.

Whatever needs pynq takes it from here, or is imported after this.
"""

from __future__ import annotations

from winogen.common.errors import DeviceError
from winogen.common.missing import why_no_pynq

try:
    import pynq
except Exception as error:
    why, advice = why_no_pynq(error)
    raise DeviceError(f"pynq cannot be imported: {why}; {advice}") from error

__all__ = ["pynq"]
