"""The interrupt controller's registers, as the data sheet of AXI INTC has them."""

from __future__ import annotations

import pytest

from winogen.emulation.device.intc import Intc

ISR, IPR, IER, IAR, SIE, CIE, IVR, MER = range(0x00, 0x20, 4)


@pytest.fixture
def pin():
    return [False]


@pytest.fixture
def intc(pin) -> Intc:
    intc = Intc(lambda: pin[0])
    intc.write(MER, 3)
    intc.write(IER, 1)
    return intc


def test_a_level_is_held_until_it_is_acknowledged(intc, pin):
    assert not intc.output() and intc.read(IVR) == 0xFFFF_FFFF
    pin[0] = True
    assert intc.output() and (intc.read(ISR), intc.read(IPR), intc.read(IVR)) == (1, 1, 0)
    pin[0] = False
    assert intc.output()
    intc.write(IAR, 1)
    assert not intc.output()


def test_a_level_that_goes_on_is_pending_again_at_once(intc, pin):
    pin[0] = True
    intc.write(IAR, 1)
    pin[0] = False
    assert intc.output()


def test_an_input_is_masked_and_let_through(intc, pin):
    pin[0] = True
    intc.write(CIE, 1)
    assert not intc.output() and (intc.read(ISR), intc.read(IPR)) == (1, 0)
    intc.write(CIE, 1)
    intc.write(SIE, 0)
    assert not intc.output()
    intc.write(SIE, 1)
    assert intc.output()
    intc.write(IER, 0)
    assert not intc.output()


@pytest.mark.parametrize(("value", "on"), [(0, False), (1, False), (2, False), (3, True)])
def test_the_master_enable_has_two_bits(value, on, intc, pin):
    pin[0] = True
    intc.write(MER, value)
    assert intc.output() == on
    assert intc.read(MER) == value


def test_addresses_without_a_register(intc):
    intc.write(0x20, 7)
    assert intc.read(0x20) == 0
    intc.write(IPR, 1)  # read-only
    assert intc.read(IPR) == 0
