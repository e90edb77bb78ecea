"""Vision-language models as their authors publish them, made folders that unisim reads; docs/generative.md describes both.

Nothing that a folder names is ever run: pickles are read by a child process that admits tensors alone, and `auto_map`,
by which a folder asks transformers to run its code, is not looked at.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from unisim.weights import internvl_chat, llava_mof, llava_qwen
from unisim.weights.json_keys import read_object
from unisim.weights.whole_folder import whole_folder

Mof = Literal["interleaved", "additive"]
OWN = (
    "LlavaForConditionalGeneration",
    "LlavaOnevisionForConditionalGeneration",
    "InternVLForConditionalGeneration",
)


@dataclass(frozen=True)
class Parts:
    """What some layouts need beside the folder itself."""

    vision: Path | None = None  # llava_qwen: SigLIP
    clip: Path | None = None  # llava_mof: the towers
    dino: Path | None = None
    adapters: list[Path] = field(default_factory=list)
    mof: Mof | None = None
    alpha: float | None = None  # CLIP's share

    def given(self) -> list[str]:
        """The options, as the command line has them."""
        return [f"--{name}" for name, value in vars(self).items() if value is not None and value != []]


def layout_of(source: Path, parts: Parts) -> Literal["llava_qwen", "llava_mof", "internvl_chat"]:
    """Which layout a folder has, by its config.json and by what is given beside it.

    Raises
    ------
    ValueError
        If it is none of the three, or needs no conversion.
    """
    file = source / "config.json"
    values = read_object(file)
    kind, names = values.get("model_type"), values.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    said = f"[convert] {file}: model_type {kind!r}, architectures {names!r}"
    if name in OWN or kind == "llava_mof":
        raise ValueError(f"{said}: this is the layout that unisim reads; nothing to convert")
    if kind == "internvl_chat":
        return "internvl_chat"
    if name == "LlavaQwenForCausalLM" or (name is None and kind == "llava_qwen"):
        return "llava_qwen"
    if name in ("LlavaLlamaForCausalLM", "LlamaForCausalLM") or (
        name is None and kind in ("llava", "llava_llama")
    ):
        if parts.clip and parts.dino:
            return "llava_mof"
        raise ValueError(
            f"{said}: for MMVP's mixtures of features give the towers, --clip and --dino; for LLaVA-1.5 itself take "
            "transformers' own folder (llava-1.5-*-hf), which needs no conversion"
        )
    raise ValueError(
        f"{said}: supported are llava_qwen (LlavaQwenForCausalLM), MMVP's LlavaLlamaForCausalLM, internvl_chat"
    )


def _check(layout: str, parts: Parts) -> None:
    """Options that the layout does not have are refused, and those that contradict each other."""
    allowed = {
        "llava_qwen": ["--vision"],
        "llava_mof": ["--clip", "--dino", "--adapters", "--mof", "--alpha"],
    }
    if left := [option for option in parts.given() if option not in allowed.get(layout, [])]:
        raise ValueError(f"[convert] the layout is {layout}, which has no {', '.join(left)}")
    additive = parts.mof == "additive"
    if additive != (parts.alpha is not None):
        raise ValueError("[convert] --alpha, CLIP's share, goes with --mof additive, and that with it")
    if parts.alpha is not None and not 0 <= parts.alpha <= 1:
        raise ValueError(f"[convert] --alpha is {parts.alpha}, expected from 0 to 1")


def convert(source: Path, out: Path, parts: Parts | None = None) -> dict[str, Any]:
    """Make the folder `out` of a model in its authors' layout.

    Returns
    -------
    dict
        "layout", "template", "rows_per_image", "tokenizer" (what it was made of), "tensors", "bytes", "files"; for MMVP's
        "equal_adapters".

    Raises
    ------
    ValueError
        If the folder is none that is supported, says what is not honoured, or is damaged; if a tensor is missing, left
        over, of another shape or not finite, by its name; if `out` is there.
    RuntimeError
        If a tokenizer must be made and transformers is not installed.
    OSError
        If a file cannot be read or written.
    """
    parts = parts or Parts()
    layout = layout_of(source, parts)
    _check(layout, parts)
    with whole_folder(out) as room:
        if layout == "llava_qwen":
            return llava_qwen.convert(source, room, parts.vision)
        if layout == "internvl_chat":
            return internvl_chat.convert(source, room)
        assert parts.clip and parts.dino
        kind = parts.mof or "interleaved"
        return llava_mof.convert(source, room, parts.clip, parts.dino, parts.adapters, kind, parts.alpha)
