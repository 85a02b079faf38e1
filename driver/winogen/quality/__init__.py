"""How good the images of a quantised network are."""
