"""``winogen doctor``: what works here, and what to do about what does not.

Each module holds one group of checks; ``checks.py`` lists them all in the order in which they run.
A check is a function of a :class:`Bench` that returns what it found, or raises :class:`Failed` or
:class:`Skipped`. They run in a process of their own (``worker.py``) under a deadline that another
process keeps (``supervisor.py``), because a board's bus can stop or end the process that uses it.
"""
