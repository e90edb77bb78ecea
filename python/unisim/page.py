"""What the pages have in common: the shell that templates fill, charts that load nothing from elsewhere, tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import jinja2

COLORS = ("#2e6f9e", "#d1495b", "#5b8c5a", "#b07d2b", "#6d5a8d", "#4a4a4a", "#1f9e89")


@dataclass
class Table:
    """A titled table: columns, rows of cells, one paragraph of explanation above it."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


def template(name: str) -> "jinja2.Template":
    """A page of this package."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(name)


def plot(figure: Any, name: str, *, first: bool = True) -> str:
    """A plotly figure in the pages' style, as HTML with the id `name`. The first of a page brings plotly itself."""
    figure.update_layout(
        template="plotly_white",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        font={"family": "inherit", "size": 13},
    )
    html = figure.to_html(
        full_html=False,
        include_plotlyjs="inline" if first else False,
        div_id=name,
        # A button of plotly's own would send the chart's data to its makers' server.
        config={"responsive": True, "displaylogo": False, "showSendToCloud": False},
    )
    return cast(str, html)
