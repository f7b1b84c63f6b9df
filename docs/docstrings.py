"""Docstrings of this library, which are plain text, as Sphinx wants them; and what is left out of the reference."""

import inspect
import re

from docutils import nodes

# What Python writes itself where the author of a named tuple wrote nothing.
BY_PYTHON = re.compile(r"(Create new instance of \w+\(|Alias for field number \d)")
NO_PYTHON = re.compile(r"<[^<>]*>")  # a default such as <factory>, for which Sphinx would give up on the types as well
CODE = re.compile(r"(`[^`]*`)")
SPECIAL = re.compile(r"[*|]|(?<=\w)_(?=\W|$)")


def escape(app, what, name, obj, options, lines):
    """Outside of `code` and examples, nothing in a docstring is meant as markup."""
    lines[:] = [line for line in lines if not BY_PYTHON.match(line)]
    example, block = False, None  # block: how far the text is indented that an indented block of code follows
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indent <= block:
            block = None
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if example or block is not None:
            continue
        parts = CODE.split(line)
        parts[::2] = [SPECIAL.sub(r"\\\g<0>", part) for part in parts[::2]]
        lines[number] = "".join(parts)
        if line.endswith(":") and _code_follows(lines[number + 1 :], indent):
            lines[number] += ":"
            block = indent


def _code_follows(lines, indent):
    """Whether after an empty line comes one that is indented further."""
    following = next((line for line in lines if line.strip()), "")
    return bool(lines) and not lines[0].strip() and len(following) - len(following.lstrip()) > indent


def readable_signature(app, what, name, obj, options, signature, return_annotation):
    """What a module takes, which Flax's metaclass hides; and no default that is no Python."""
    if what == "class" and "flax" in getattr(type(obj), "__module__", ""):
        from sphinx.util.inspect import stringify_signature

        own = inspect.signature(obj.__init__)
        shown = own.replace(parameters=list(own.parameters.values())[1:])
        signature = stringify_signature(shown, unqualified_typehints=True, show_return_annotation=False)
    return signature and NO_PYTHON.sub("...", signature), return_annotation


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what matplotlib puts into a class of ours, and fields of named tuples, which their classes describe."""
    foreign = (getattr(obj, "__module__", "") or "").startswith("matplotlib")
    return True if foreign or BY_PYTHON.match(getattr(obj, "__doc__", "") or "") else None


def shorten(app, doctree):
    """An array is an Array, wherever JAX keeps its class."""
    for text in list(doctree.findall(nodes.Text)):
        if "jaxlib._jax." in text:
            text.parent.replace(text, nodes.Text(text.replace("jaxlib._jax.", "")))


def setup(app):
    app.connect("autodoc-process-docstring", escape, priority=400)  # before the Google style is read
    app.connect("autodoc-process-signature", readable_signature)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("doctree-read", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
