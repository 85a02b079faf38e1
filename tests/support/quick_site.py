"""Builds the site as ``python -m sphinx`` does, but for what is Sphinx's and its theme's own.

That is the search, the tree of all pages beside each page, of which a few keep theirs, and each
page's list of the objects that it describes. They take a third of a build.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import furo
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.cmd.build import main

#: Pages that keep the tree: the first one, and one in a folder.
TREES = ("docs/index", "docs/reference/api")


def quicken() -> None:
    # The theme's own name, without which all pages have their tree, and the build takes longer.
    if whole := getattr(furo, "_compute_navigation_tree", None):

        def tree(context: dict[str, Any]) -> Any:
            return whole(context) if context["pagename"] in TREES else ""

        furo._compute_navigation_tree = tree
    StandaloneHTMLBuilder.search = False
    gc.set_threshold(100_000, 50, 1000)  # the pages are kept until the end


if __name__ == "__main__":
    quicken()
    sys.exit(main(["-D", "toc_object_entries=0", *sys.argv[1:]]))
