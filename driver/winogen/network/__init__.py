"""The network as the user knows it, and the files that it comes from."""
