"""Mermaid's diagrams as SVG in the page, drawn at build time: no script, no other host."""

from __future__ import annotations

import hashlib
from typing import Any

from docutils import nodes
from mermaidx import Diagram
from sphinx.util.docutils import SphinxDirective

_DRAWN_ID = "my-svg"


class Mermaid(SphinxDirective):
    """A fence ``mermaid``; a diagram with an error is an error of the page."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The drawing, with an id of its own, as its styles are bound to it."""
        source = "\n".join(self.content)
        try:
            drawing = str(Diagram(source, theme="neutral").svg())
        except RuntimeError as error:
            raise self.error(f"mermaid: {error}") from error
        unique = f"diagram-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
        drawing = drawing.replace(_DRAWN_ID, unique)
        return [nodes.raw("", f'<div class="diagram">{drawing}</div>', format="html")]


def setup(app: Any) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True}
