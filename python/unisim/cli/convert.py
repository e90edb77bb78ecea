"""unisim convert: models as their authors publish them, made into folders that unisim reads."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from unisim.cli.help import add
from unisim.cli.options import Color, Json, Quiet
from unisim.cli.output import Output

DreamSimModel = Literal[
    "ensemble", "dino_vitb16", "dinov2_vitb14", "synclr_vitb16", "clip_vitb32", "open_clip_vitb32"
]

MofKind = Literal["interleaved", "additive"]

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


def convert_dreamsim(
    release: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder in which the authors' archive was unpacked."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")],
    model: Annotated[
        DreamSimModel, typer.Option("--model", help="Which of the authors' models.")
    ] = "ensemble",
    json: Json = False,
    quiet: Quiet = False,
    color: Color = "auto",
) -> None:
    """Make the folder of DreamSim (Fu et al. 2023) of the authors' backbones and their LoRA, merged in float64.

    DIR is what their package calls cache_dir, from release v0.2.0 on: for the ensemble clip_vitb16_pretrain.pth.tar,
    open_clip_vitb16_pretrain.pth.tar and ensemble_lora, for one backbone its checkpoint and NAME_single_lora. DINO's
    backbone, which their package fetches, is looked for in DIR/checkpoints and in DIR: dino_vitbase16_pretrain.pth, of
    dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain. The archive's dino_vitb16_pretrain.pth is another and not read.

    A pickle is read in a child process that admits tensors alone. A tensor that is missing, left over or of another
    shape is refused. OUT is made whole or not at all.
    """
    from unisim.weights import dreamsim

    output = Output(json, quiet, color=color)
    made = dreamsim.convert(release, model, out)
    output.result(
        {"release": str(release), "model": model, "out": str(out), **made},
        lambda: print(f"{out}: {made['tensors']} tensors, {made['merged']} with a LoRA merged in"),
    )


add(
    convert_app,
    convert_dreamsim,
    "unisim convert dreamsim models --model ensemble -o dreamsim",
    "unisim compare dreamsim:dreamsim a.png b.png",
    name="dreamsim",
)


def convert_vlm(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", help="The model's folder as its authors publish it.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")],
    vision: Annotated[
        Path | None,
        typer.Option(
            "--vision",
            metavar="FOLDER",
            help="SigLIP of llava_qwen, if it is another than siglip-so400m-patch14-384 or not in DIR.",
        ),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option("--clip", metavar="FOLDER", help="MMVP: CLIP, a Hugging Face folder.")
    ] = None,
    dino: Annotated[
        Path | None,
        typer.Option(
            "--dino", metavar="PATH", help="MMVP: DINOv2, a Hugging Face folder or its authors' .pth file."
        ),
    ] = None,
    adapters: Annotated[
        list[Path] | None,
        typer.Option(
            "--adapters", metavar="FILE", help="MMVP: mm_projector.bin, if not in DIR; may be repeated."
        ),
    ] = None,
    mof: Annotated[
        MofKind | None,
        typer.Option("--mof", help="MMVP: how features are mixed; interleaved if nothing is said."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="MMVP, additive: CLIP's share, from 0 to 1.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    color: Color = "auto",
) -> None:
    """Make a vision-language model's folder of the layout in which its authors publish it.

    The layout is told by DIR's config.json. llava_qwen: LLaVA-NeXT-Interleave and UniSim-LL-N, with the newline row
    behind each picture that transformers' own conversion drops. LlavaLlamaForCausalLM with --clip and --dino: MMVP's
    mixtures of features. internvl_chat: InternVL with Phi-3 (MMIE's judge), Qwen2 or Llama. Folders in transformers' own
    layout (llava, llava_onevision, internvl) need no conversion.

    No code of DIR is ever run; a pickle is read in a child process that admits tensors alone. Tensors keep their type. A
    tensor that is missing, left over or not finite is refused, and so is a key of config.json that would change what is
    computed. One tensor is in memory at a time. OUT is made whole or not at all.
    """
    from unisim.weights import vlm

    output = Output(json, quiet, color=color)
    made = vlm.convert(source, out, vlm.Parts(vision, clip, dino, adapters or [], mof, alpha))
    if made.get("equal_adapters"):
        output.warn("both adapters are the same numbers: was one read in place of the other?")
    output.result(
        {"source": str(source), "out": str(out), **made},
        lambda: print(
            f"{out}: {made['layout']}, {made['tensors']} tensors in {made['files']} file(s), "
            f"{made['rows_per_image']} rows an image"
        ),
    )


add(
    convert_app,
    convert_vlm,
    "unisim convert vlm unisim-ll-n -o unisim-ll-n-hf",
    "unisim convert vlm mmvp-13b --clip clip-vit-large-patch14-336 --dino dinov2-large -o mmvp",
    name="vlm",
)
