"""How Sphinx builds the documentation as a site, from the root of the repository.

``python -m sphinx -W --keep-going -c docs . build/site``; ``-D nb_execution_mode=off`` leaves
the notebooks without their outputs. The root is the source folder so that pages can link to
notebooks, to READMEs elsewhere and to source files as they do in a repository browser.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "driver")]

from winogen.version import __version__  # noqa: E402

project = "winogen"
author = "the winogen authors"
release = version = __version__
language = "en_GB"

root_doc = "docs/index"
include_patterns = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/**/*.md",
    "notebooks/*.ipynb",
    "hw_src/README.md",
    "overlay/README.md",
    "training/README.md",
]
exclude_patterns = ["docs/README.md", ".*", "build", "dist", "driver", "tests", "**/__pycache__"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinxarg.ext", "docstrings", "diagrams"]

# What is not ours cannot be looked up without asking the network. What is ours must be found, but
# for types of the inside that signatures name.
_INSIDE = (
    r"doctor\.bench|emulation\.device\.(core|memory)|emulation\.rtl\.core"
    r"|network\.(definition|parameters)|program\.(digests|host_ops)|runtime\.reach"
    r"|target\.(isa|numerics|registers)"
)
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!winogen).*"), ("py:class", rf"winogen\.({_INSIDE})\..*")]

myst_heading_anchors = 6
myst_fence_as_directive = ["mermaid"]
smartquotes = False  # would make a dash of the -- of an option

# The notebooks are in git without outputs; a kernel of this environment runs them.
nb_execution_mode = "auto"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_ipywidgets_js = {}  # from other hosts, and sliders need a kernel
os.environ["WINOGEN_DEVICE"] = "emulator"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(HERE.parent / "driver"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

nb_execution_excludepatterns = []
if find_spec("torch") is None:  # an extra that is a large download
    autodoc_mock_imports = ["torch"]
    nb_execution_excludepatterns.append("**/06_fit_your_board.ipynb")
if find_spec("fastapi") is None:
    nb_execution_excludepatterns.append("**/07_service.ipynb")

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "NDArray": "NDArray"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"winogen {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "forward.html"}
html_copy_source = False
