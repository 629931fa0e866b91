"""Sphinx extension: formulas as MathML, made when the site is built.

Browsers draw MathML themselves: no script, no font and no network, in the colour of the text around it.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

BAR = re.compile(r'<mo((?: class="\w+")?)>([|\u2016])</mo>')


def mathml(node: nodes.Element, is_block: bool) -> str:
    """Convert the LaTeX of a node; what docutils cannot convert is a warning, which names the page and the line."""
    latex = node.astext()
    try:
        markup = tex2mathml(latex, as_block=is_block)
    except MathError as error:
        logger.warning("formula %r: %s", latex, error, location=node)
        return f"<code>{latex}</code>"
    if re.search(r"\\left(?![a-z])", latex):
        return markup
    return BAR.sub(r'<mo\1 stretchy="false">\2</mo>', markup)  # else as high as the highest part of the line


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(mathml(node, is_block=False))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own, with its number if it has a label."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})</span>')
    translator.body.append(f"{mathml(node, is_block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
