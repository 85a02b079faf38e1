"""Boards that another machine drives, over PYNQ.remote; loaded where one is asked for."""
