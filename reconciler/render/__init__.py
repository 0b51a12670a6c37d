"""Plans in the forms that people read: text, markdown, HTML; pure."""

from reconciler.render.html import render_html
from reconciler.render.markdown import render_markdown
from reconciler.render.text import render_text

__all__ = ["render_html", "render_markdown", "render_text"]
