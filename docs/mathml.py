"""Formulas as MathML, which browsers draw themselves: no script, no fonts to fetch."""

from docutils import nodes
from latex2mathml.converter import convert


def visit_inline(self, node):
    self.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def visit_block(self, node):
    # Wider than a phone's page it scrolls, for which it must take the focus.
    self.body.append('<div class="math-block" role="group" aria-label="Formula" tabindex="0">')
    self.body.append(convert(node.astext(), display="block") + "</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
