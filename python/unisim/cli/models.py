"""unisim models"""

from unisim.cli.options import Color, Json
from unisim.cli.output import Output


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def models(json: Json = False, color: Color = "auto") -> None:
    """List the models found on this machine, and those that `unisim get` can install.

    Any other model folder in the layout of Hugging Face, OpenCLIP or timm is named by its path.
    """
    from unisim import cache, model_folder
    from unisim.weights import packages

    found = model_folder.at_hand()
    here = {model.name for model in found}
    offered = [model for name, model in packages.MODELS.items() if name not in here]
    out = Output(json, color=color)

    def draw() -> None:
        rows = [(m.name, m.family, m.dim or "-", megabytes(m.size), str(m.path)) for m in found]
        if rows:
            out.table(("name", "family", ">dim", ">size", "path"), rows, title="Found here")
        else:
            print(f"No models found under {cache.models_folder()}, nor in the Hugging Face cache.")
        if offered:
            columns = ("name", "family", ">dim", ">download", "terms")
            rows = [(m.name, m.family, m.dim or "-", megabytes(m.archive.size), m.terms) for m in offered]
            out.table(columns, rows, title="To be got: unisim get NAME")

    out.result(
        {
            "models": [
                {"name": m.name, "path": str(m.path), "family": m.family, "dim": m.dim, "size": m.size}
                for m in found
            ],
            "available": [
                {
                    "name": m.name,
                    "family": m.family,
                    "dim": m.dim,
                    "size": m.size,
                    "download": m.archive.size,
                    "terms": m.terms,
                }
                for m in offered
            ],
        },
        draw,
    )
