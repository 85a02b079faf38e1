"""The notebooks, as a package that ``pynq get-notebooks`` copies them from.

pynq copies every file here but this one, and asks for no bitstream: the notebooks load their
overlay by name.
"""
