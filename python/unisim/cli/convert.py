"""unisim convert: models as their authors publish them, made into folders that unisim reads."""

from pathlib import Path
from typing import Annotated

import typer

from unisim.cli.help import add
from unisim.cli.options import Color, Json, Quiet
from unisim.cli.output import Output

convert_app = typer.Typer(help="Make a model folder of a model as its authors publish it.")


def convert_unisim(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CKPT", help="The released checkpoint (.pt), the whole model with its LoRA."),
    ],
    base: Annotated[
        Path,
        typer.Option(
            "--base", metavar="FOLDER", help="Hugging Face folder of the CLIP model it was tuned from."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")],
    json: Json = False,
    quiet: Quiet = False,
    color: Color = "auto",
) -> None:
    """Merge a fine-tuned UniSim encoder (arXiv 2412.10594) into a plain CLIP folder.

    The checkpoint is a pickle: it is read in a child process that admits tensors alone. Its LoRA (rank 16, alpha 32) is
    merged in float64; the rest of the folder, and the logit scale, are the base's. A tensor that is missing, left over
    or of another shape is refused. OUT is made whole or not at all.

    The bases are laion/CLIP-ViT-B-32-laion2B-s34B-b79K (unisim_vit_b_32) and openai/clip-vit-large-patch14-336
    (unisim_vit_l_14).
    """
    from unisim.weights import peft_checkpoint

    output = Output(json, quiet, color=color)
    made = peft_checkpoint.convert(checkpoint, base, out)
    output.result(
        {"checkpoint": str(checkpoint), "base": str(base), "out": str(out), **made},
        lambda: print(f"{out}: {made['tensors']} tensors, {made['merged']} with a LoRA merged in"),
    )


add(
    convert_app,
    convert_unisim,
    "unisim convert unisim unisim_vit_b_32.pt --base CLIP-ViT-B-32-laion2B-s34B-b79K -o unisim-vit-b-32",
    name="unisim",
)


def convert_dists(
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="The authors' weights.pt: alpha and beta.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")],
    base: Annotated[
        Path | None,
        typer.Option(
            "--base", metavar="FOLDER", help="An lpips-vgg folder. [default: what unisim get installed]"
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    color: Color = "auto",
) -> None:
    """Make the folder of DISTS (Ding et al. 2022) of the authors' learned weights and the VGG16 of lpips-vgg.

    WEIGHTS is a pickle: it is read in a child process that admits tensors alone. OUT is made whole or not at all.
    """
    from unisim.get import installed
    from unisim.weights import dists_weights

    vgg = base or installed("lpips-vgg")
    if vgg is None:
        raise ValueError("[convert] DISTS needs VGG16; run: unisim get lpips-vgg (or give --base FOLDER)")
    output = Output(json, quiet, color=color)
    made = dists_weights.convert(weights, vgg, out)
    output.result(
        {"weights": str(weights), "base": str(vgg), "out": str(out), **made},
        lambda: print(f"{out}: {made['tensors']} tensors"),
    )


add(convert_app, convert_dists, "unisim convert dists weights.pt -o dists", name="dists")
