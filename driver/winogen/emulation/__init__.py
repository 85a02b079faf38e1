"""Everything of a board that is not there: device, emulated core, simulated logic."""
