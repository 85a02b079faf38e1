"""From what a user names to a program whose quality is known: a job is read, then compiled."""
