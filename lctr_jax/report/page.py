"""Self-contained HTML pages from templates, without network access."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render_page(template: str, *, scripts: Sequence[str] = ("page.js",), **values: Any) -> str:
    """Render a page with all values escaped; its content security policy allows no external resources.

    `scripts` are joined in that order.
    """
    templates = Environment(
        loader=PackageLoader("lctr_jax.report", "templates"),
        autoescape=True,  # class and file names are untrusted
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["percent"] = lambda value, digits=1: f"{value:.{digits}f}"
    script = "\n".join(templates.get_template(name).render() for name in scripts)
    style = templates.get_template("page.css").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.get_template(template).render(
        script=Markup(script), style=Markup(style), script_hash=f"sha256-{digest}", **values
    )
