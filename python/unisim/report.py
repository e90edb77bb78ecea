"""One self-contained HTML page of what two encoders make of a collection of pictures.

The pairs side by side with both similarities, a scatter of the two similarities over all pairs with the thresholds
drawn, filters, settings, failures. Nothing is loaded from elsewhere when the page is opened.
"""

import base64
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from unisim import page, pair_sample, whole_files
from unisim.page import Table

if TYPE_CHECKING:
    from unisim import BlindPairs

__all__ = ["Closest", "Table", "write_report"]

THUMBNAIL = 192
MOST_PAIRS = 200
MOST_POINTS = 4000


@dataclass
class Closest:
    """A picture and what each column's metric calls most alike: (title of the column, file, score as text)."""

    file: Path
    neighbours: list[tuple[str, Path, str]] = field(default_factory=list)


class Card(TypedDict):
    """A pair as the page shows it: two pictures, two similarities, and whether it passes the thresholds."""

    i: int
    j: int
    alike: float
    apart: float
    mined: bool


def thumbnail(file: Path) -> str | None:
    """A JPEG data URI of at most 192 x 192 pixels; None where the picture cannot be read any more."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
            picture.thumbnail((THUMBNAIL, THUMBNAIL))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def scatter(
    sample: pair_sample.PairSample,
    pairs: list[Card],
    names: list[str],
    thresholds: tuple[float, float],
    axes: tuple[str, str],
) -> str:
    """The plotly figure as HTML: every pair as a point, or binned where there are too many; mined pairs on top."""
    import plotly.graph_objects as go

    figure = go.Figure()
    if sample.points is not None:
        points = sample.points
        figure.add_trace(
            go.Scatter(
                x=np.round(points["alike"], 4).tolist(),
                y=np.round(points["apart"], 4).tolist(),
                mode="markers",
                name="all pairs",
                marker={"size": 5, "color": "#7d8fa9", "opacity": 0.45},
                text=[f"{names[i]}<br>{names[j]}" for i, j in zip(points["i"], points["j"], strict=True)],
                hovertemplate="%{text}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
            )
        )
    else:
        counts = sample.counts
        figure.add_trace(
            go.Heatmap(
                x=((sample.edges_alike[:-1] + sample.edges_alike[1:]) / 2).round(4).tolist(),
                y=((sample.edges_apart[:-1] + sample.edges_apart[1:]) / 2).round(4).tolist(),
                z=[[None if n == 0 else float(np.log10(n)) for n in row] for row in counts.T],
                text=[[str(int(n)) for n in row] for row in counts.T],
                colorscale="Blues",
                showscale=False,
                name="all pairs",
                hovertemplate="%{text} pairs near %{x:.2f}, %{y:.2f}<extra></extra>",
            )
        )
    shown = [pair for pair in pairs if pair["mined"]]
    figure.add_trace(
        go.Scatter(
            x=[round(pair["alike"], 4) for pair in shown],
            y=[round(pair["apart"], 4) for pair in shown],
            mode="markers",
            name="mined pairs",
            marker={"size": 9, "color": "#d1495b", "line": {"width": 1, "color": "white"}},
            text=[f"{names[pair['i']]}<br>{names[pair['j']]}" for pair in shown],
            hovertemplate="%{text}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
        )
    )
    line = {"color": "#d1495b", "width": 1.5, "dash": "dash"}
    figure.add_vline(x=thresholds[0], line=line)
    figure.add_hline(y=thresholds[1], line=line)
    figure.update_layout(
        height=520,
        margin={"l": 56, "r": 16, "t": 16, "b": 56},
        xaxis={"title": {"text": f"called alike: {axes[0]}"}},
        yaxis={"title": {"text": f"called different: {axes[1]}"}},
    )
    return page.plot(figure, "pairs")


def write_report(
    out: str | os.PathLike[str],
    *,
    files: Iterable[str | os.PathLike[str]],
    alike: pair_sample.RowsLike,
    apart: pair_sample.RowsLike,
    pairs: "BlindPairs",
    alike_above: float,
    apart_below: float,
    alike_name: str,
    apart_name: str,
    failures: Iterable[tuple[object, object]] = (),
    settings: Mapping[str, str] | None = None,
    title: str = "Which pictures look alike?",
    summary: Iterable[str] = (),
    tables: Iterable[Table] = (),
    closest: Sequence[Closest] = (),
) -> None:
    """Write the page, whole or not at all.

    Parameters
    ----------
    out : path
        The HTML file.
    files : list of path
        The pictures, one a row of ``alike`` and ``apart``.
    alike, apart : tensors or arrays [n, d1], [n, d2]
        The rows of the two encoders.
    pairs
        What ``mine_blind_pairs`` returned: ``.i .j .alike .apart``.
    alike_above, apart_below : float
        The thresholds of the mining.
    alike_name, apart_name : str
        What the encoders are called on the page.
    failures : list of (file, error)
        Pictures that could not be read.
    settings : dict of str to str
        Printed as they are.
    title, summary, tables, closest
        The heading, sentences under it, further tables (`Table`), nearest neighbours (`Closest`).
    """
    paths = [Path(file) for file in files]
    if not len(paths) == len(alike) == len(apart):
        raise ValueError(
            f"[report] {len(paths)} files, {len(alike)} and {len(apart)} rows: the counts must be equal"
        )
    names = short_names(paths)
    sample = pair_sample.sample_pairs(
        alike, apart, alike_above, apart_below, most_points=MOST_POINTS, most_near=MOST_PAIRS
    )
    cards = pair_cards(pairs, sample.near, alike_above, apart_below)
    shown = {picture for card in cards for picture in (card["i"], card["j"])}
    pictures = {i: thumbnail(paths[i]) for i in sorted(shown)}
    known = {file: i for i, file in enumerate(paths)}
    for row in closest:
        for file in (row.file, *(neighbour for _, neighbour, _ in row.neighbours)):
            i = known.setdefault(Path(file), len(known))
            if i not in pictures:
                pictures[i] = thumbnail(file)
    text = page.template("report.html.jinja").render(
        title=title,
        summary=list(summary),
        tables=list(tables),
        closest=[
            {
                "picture": known[Path(row.file)],
                "name": Path(row.file).name,
                "neighbours": [
                    {"title": column, "picture": known[Path(file)], "name": Path(file).name, "score": score}
                    for column, file, score in row.neighbours
                ],
            }
            for row in closest
        ],
        columns=[column for column, _, _ in closest[0].neighbours] if closest else [],
        pictures=pictures,
        names=names,
        cards=cards,
        mined=len(pairs),
        most=MOST_PAIRS,
        images=len(paths),
        compared=len(paths) * (len(paths) - 1) // 2,
        chart=scatter(sample, cards, names, (alike_above, apart_below), (alike_name, apart_name)),
        binned=sample.points is None,
        alike_above=alike_above,
        apart_below=apart_below,
        alike_name=alike_name,
        apart_name=apart_name,
        bounds=slider_bounds(cards, alike_above, apart_below),
        failures=[(str(file), str(error)) for file, error in failures],
        settings=settings or {},
    )
    with whole_files.written_whole(Path(out)) as streams:
        streams[0].write(text.encode())


def pair_cards(pairs: "BlindPairs", near: NDArray[Any], alike_above: float, apart_below: float) -> list[Card]:
    """The pairs that the page shows: mined ones first, widest gap first; then those nearest to the thresholds."""
    cards: dict[tuple[int, int], Card] = {}
    for i, j, a, b in zip(
        pairs.i.tolist(), pairs.j.tolist(), pairs.alike.tolist(), pairs.apart.tolist(), strict=True
    ):
        cards[i, j] = {"i": i, "j": j, "alike": a, "apart": b, "mined": True}
    mined = sorted(cards.values(), key=lambda card: (card["apart"] - card["alike"], card["i"], card["j"]))
    for row in near:
        key = int(row["i"]), int(row["j"])
        if key not in cards and not (row["alike"] > alike_above and row["apart"] < apart_below):
            alike, apart = float(row["alike"]), float(row["apart"])
            cards[key] = {"i": key[0], "j": key[1], "alike": alike, "apart": apart, "mined": False}
    others = sorted(
        (card for card in cards.values() if not card["mined"]),
        key=lambda card: (card["apart"] - card["alike"], card["i"], card["j"]),
    )
    return mined[:MOST_PAIRS] + others[: MOST_PAIRS // 2]


def slider_bounds(cards: list[Card], alike_above: float, apart_below: float) -> dict[str, float]:
    """(least alike, most apart) that the sliders reach: all cards at the ends."""
    alikes = [card["alike"] for card in cards] + [alike_above]
    aparts = [card["apart"] for card in cards] + [apart_below]
    return {
        "alike_least": np.floor(min(alikes) * 100 - 1) / 100,
        "alike_most": np.ceil(max(alikes) * 100) / 100,
        "apart_least": np.floor(min(aparts) * 100) / 100,
        "apart_most": np.ceil(max(aparts) * 100 + 1) / 100,
    }


def short_names(files: list[Path]) -> list[str]:
    """Names for people: relative to the folder that all files share."""
    folders = [str(file.parent) for file in files]
    common = os.path.commonpath(folders) if folders and len({os.path.isabs(f) for f in folders}) == 1 else ""
    return [os.path.relpath(file, common) if common else str(file) for file in files]
