"""Windows of the emulated core: what is accessed, from where on not, and why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.emulator.reach import Reach, Refused, row_bytes, row_offsets
from winogen.target.board import load_board
from winogen.target.isa import LoadInput, LoadTable, Store
from winogen.target.registers import CLOSED_WINDOW, WINDOWS, Access, ErrorCode, Segment

PAGE = 4096
CORE = load_board("tiny").core
WORD = CORE.word_bytes
MEMORY = EmulatedMemory(8 * PAGE, 8 * PAGE)
DECERR, OUTSIDE = ErrorCode.AXI_DECERR, ErrorCode.OUTSIDE_WINDOW
ALL = (0, 0xFFFF_FFFF)


def reach(access: Access, *windows: tuple[int, int]) -> Reach:
    """These windows for one access, none for the others."""
    pages = []
    for a, count in WINDOWS.items():
        own = list(windows) if a is access else []
        pages += own + [CLOSED_WINDOW] * (count - len(own))
    return Reach(MEMORY, pages)


def refusal(r: Reach, access: Access, start: int, nbytes: int) -> tuple[ErrorCode, int] | None:
    try:
        r.check(access, start, nbytes)
    except Refused as refused:
        return refused.code, refused.address
    return None


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize(
    ("windows", "start", "nbytes", "wanted"),
    [
        ([], 8 * PAGE, 8, (OUTSIDE, 8 * PAGE)),
        ([(9, 9)], 9 * PAGE, PAGE, None),
        ([(9, 9)], 9 * PAGE - 8, 8, (OUTSIDE, 9 * PAGE - 8)),
        ([(9, 9)], 10 * PAGE - 8, 8, None),
        ([(9, 9)], 10 * PAGE - 8, 16, (OUTSIDE, 10 * PAGE)),
        ([(9, 9)], 10 * PAGE, 8, (OUTSIDE, 10 * PAGE)),
        ([ALL], 8 * PAGE, 8 * PAGE, None),
        ([ALL], 8 * PAGE - 8, 16, (DECERR, 8 * PAGE - 8)),
        ([ALL], 16 * PAGE - 8, 16, (DECERR, 16 * PAGE)),
        ([(9, 20)], 9 * PAGE, 20 * PAGE, (DECERR, 16 * PAGE)),
        ([(9, 15)], 9 * PAGE, 20 * PAGE, (OUTSIDE, 16 * PAGE)),
        ([ALL], (1 << 44) - 8, 8, (DECERR, (1 << 44) - 8)),
        ([ALL], 1 << 44, 8, (OUTSIDE, 1 << 44)),
        ([ALL], (1 << 64) - 8, 8, (OUTSIDE, (1 << 64) - 8)),
        ([ALL], (1 << 64) + 9 * PAGE, 8, None),  # addresses begin at 0 again
        ([(10, 9)], 9 * PAGE, 8, (OUTSIDE, 9 * PAGE)),
        ([(0xFFFF_FFFF, 0)], 9 * PAGE, 8, (OUTSIDE, 9 * PAGE)),
    ],
)
def test_a_run_of_bytes(access, windows, start, nbytes, wanted):
    assert refusal(reach(access, *windows), access, start, nbytes) == wanted
    others = set(Access) - {access}
    assert all(refusal(reach(access, ALL), a, 9 * PAGE, 8) for a in others)


def test_windows_touch_and_overlap():
    for windows in ([(9, 10), (11, 12)], [(9, 11), (10, 12)], [(9, 12), (10, 11)]):
        for order in (windows, windows[::-1]):
            r = reach(Access.READ, *order)
            assert refusal(r, Access.READ, 9 * PAGE, 4 * PAGE) is None
            assert refusal(r, Access.READ, 9 * PAGE, 4 * PAGE + 8) == (OUTSIDE, 13 * PAGE)
    assert refusal(reach(Access.READ, (9, 9), (11, 11)), Access.READ, 9 * PAGE, 3 * PAGE) == (
        OUTSIDE, 10 * PAGE,
    )  # fmt: skip


@given(st.data())
def test_rows_are_checked_as_they_come(data):
    """Against a byte by byte walk through the rows."""
    number = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    box = {n: number(1, 3) for n in ("images", "rows", "columns")}
    strides = {n: number(0, 700) for n in ("image_stride", "row_stride")}
    segment, offset = Segment.OUTPUT, 8 * number(0, 1000)
    instruction: LoadInput | Store
    if data.draw(st.booleans()):
        instruction = Store(segment=segment, offset=offset, base=0, **box, **strides)
        access = Access.WRITE
    else:
        more = {"blocks": number(1, 3), "block_stride": number(0, 700), "column_step": number(1, 3)}
        instruction = LoadInput(
            segment=segment, offset=offset, base=0, pitch=6, **box, **strides, **more
        )
        access = Access.READ
    pages = [sorted((number(7, 17), number(7, 17))) for _ in range(number(0, 3))]
    r = reach(access, *[(a, b) for a, b in pages])
    base = PAGE * number(7, 15)
    wanted = None
    for runs, words in enumerate(row_offsets(instruction)):
        start = base + offset + words * WORD
        for byte in range(start, start + row_bytes(instruction, CORE), 8):
            inside = any(a <= byte // PAGE <= b for a, b in pages)
            if wanted is None and not (inside and 8 * PAGE <= byte < 16 * PAGE):
                wanted = (DECERR if inside else OUTSIDE, byte, runs)
    try:
        r.check_transfer(instruction, CORE, {segment: base})
        found = None
    except Refused as refused:
        found = (refused.code, refused.address, refused.runs)
    assert found == wanted


def test_a_gap_between_rows_is_not_accessed():
    store = Store(segment=0, offset=0, base=0, images=1, rows=2, columns=1,
                  image_stride=0, row_stride=2 * PAGE // WORD)  # fmt: skip
    r = reach(Access.WRITE, (9, 9), (11, 11))
    r.check_transfer(store, CORE, {Segment.WEIGHTS: 9 * PAGE})
    with pytest.raises(Refused):
        r.check_transfer(store, CORE, {Segment.WEIGHTS: 10 * PAGE})


def test_the_registers_are_in_the_order_of_the_windows():
    values = iter(range(100))
    r = Reach.of_registers(MEMORY, lambda name: next(values))
    assert r.windows == tuple((2 * i, 2 * i + 1) for i in range(sum(WINDOWS.values())))
    load = LoadTable(segment=0, offset=0, table=0, base=0, count=1)
    Reach.everywhere(MEMORY).check_transfer(load, CORE, {Segment.WEIGHTS: MEMORY.base})
    assert np.all(MEMORY.device_read(MEMORY.base, 8) == 0)
