"""The STORE engine with a Python model of the output buffer and of the write master."""

from __future__ import annotations

from collections import deque

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from simple_runner import run

from winogen.isa import Instruction, Opcode, encode
from winogen.registers import ErrorCode

DEPTH = 1024
