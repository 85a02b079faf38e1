"""Programs for many users of one device: an HTTP API, and a page to play with.

``winogen serve`` runs it; it needs the extra ``winogen[serve]``.
"""
