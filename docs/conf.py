"""The configuration of Sphinx for the site that `python -m docs.build` makes."""

import builtins
import pydoc
from typing import Any, TypeVar

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from docs.docstrings import convert_markdown_tables

project = "Penumbra"
author = "the Penumbra authors"
project_copyright = "the Penumbra authors, Apache-2.0"
root_doc = "index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # output of commands in a block of `console`

autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "exclude-members": "set_fit_request, set_score_request, model_config",  # made by scikit-learn and pydantic
}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # so that an attribute under "Attributes:" is described once
napoleon_use_rtype = False  # a shape such as "float64 [n, columns]" is no type to be linked
napoleon_custom_sections = [("Source", "notes_style"), ("Sources", "notes_style")]
default_role = "code"
highlight_language = "none"
python_use_unqualified_type_names = True
toc_object_entries = False  # each page would hold the names of all functions: half of the time that a build takes
# Other people's types and private names have no place here; a dead reference to one of our public names is an error.
nitpick_ignore_regex = [
    (r"py:class", r".*\.require_loss_name"),  # in an annotation, where Sphinx takes every name for a class
    (r"py:.*", r"(?!(penumbra|flows|service|monitoring)\.).*"),
    (r"py:.*", r".*\._\w+"),
]

smartquotes = False  # quotes around values of settings are part of them
html_theme = "furo"
html_title = "Penumbra"
html_copy_source = False
html_show_sphinx = False
html_show_sourcelink = False


class BuiltinNames(SphinxPostTransform):
    """Keeps `bytes` in a signature from being linked to an attribute of ours with that name."""

    default_priority = 5  # before references are resolved

    def run(self, **kwargs: Any) -> None:
        """Replace references to built-in names by their text.

        Args:
            **kwargs: Not used; Sphinx may pass some.
        """
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") == "py" and node.get("reftarget") in vars(builtins):
                node.replace_self(nodes.Text(node["reftarget"]))


def accept_type_variable(app: Sphinx, env: Any, node: pending_xref, content: nodes.Node) -> nodes.Node | None:
    """Let a type variable of ours in a signature stand without a page of its own.

    A listener of Sphinx' event `missing-reference`.

    Args:
        app: The application.
        env: Its environment.
        node: The reference that leads nowhere.
        content: What the reader sees of it.

    Returns:
        The content if the target is a type variable, otherwise None: the reference is dead.
    """
    return content if isinstance(pydoc.locate(str(node.get("reftarget"))), TypeVar) else None


def setup(app: Sphinx) -> None:
    """Connect the project's own steps to Sphinx.

    Args:
        app: The application that reads this configuration.
    """
    app.add_post_transform(BuiltinNames)
    app.connect("missing-reference", accept_type_variable)
    app.connect("autodoc-process-docstring", convert_markdown_tables, priority=400)  # before napoleon's 500
