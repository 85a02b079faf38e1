"""The machine: registers, instructions, numerics, boards, and what is generated from them."""
