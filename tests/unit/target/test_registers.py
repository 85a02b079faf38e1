"""The sum of the settings: one word that changes with any bit of them."""

from __future__ import annotations

import numpy as np

from winogen.target.registers import SETTINGS, settings_sum


def test_the_sum_of_the_settings():
    """As its description says, and whatever bit flips, or two of one place in two words."""
    rng = np.random.default_rng(3)
    words = [int(w) for w in rng.integers(1 << 32, size=len(SETTINGS))]
    wanted = 0
    for place, word in enumerate(words):
        bits = f"{word:032b}"
        turn = 3 * place % 32
        wanted ^= int(bits[turn:] + bits[:turn], 2)
    assert settings_sum(words) == wanted < 1 << 32
    for first in range(len(words)):
        for second in range(first, len(words)):
            for bit in range(32):
                other = list(words)
                other[first] ^= 1 << bit
                if second != first:
                    other[second] ^= 1 << bit
                assert settings_sum(other) != wanted
