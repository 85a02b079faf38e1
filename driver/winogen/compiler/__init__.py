"""From a network to a program."""
