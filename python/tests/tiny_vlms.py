"""Vision-language models of two blocks with random weights, one folder of every kind, beside transformers' numbers.

`make(name, folder)` writes a folder and gives a `TinyVlm`; `NAMES` are the kinds. What transformers lacks (a newline row
behind each picture, the mixtures of features) is composed here of its own CLIP, SigLIP, DINOv2 and Llama; never of ours.

    vlm = tiny_vlms.make("onevision", tmp_path / "onevision")
    pictures = tiny_vlms.pictures(2)                  # PIL, of different shapes
    ids = vlm.ids("Which one? <image><image>", pictures)
    vlm.logits(ids, pictures)[-1].softmax(-1)         # float64, of the token behind the prompt
    vlm.rows(pictures)                                # [rows, width] each; alone = one picture in the prompt
    vlm.model.generate(inputs_embeds=vlm.embeds(ids, pictures), ...)

Two pictures that change places move the probability of a next token by over 1e-3: `test_vlm_pictures.py` asserts it.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import chat_templates
import tiny_vlm_parts as parts

NAMES = (
    "llava",  # LLaVA-1.5: CLIP and Llama
    "interleave",  # SigLIP and Qwen2, tied
    "interleave_newline",  # the same as `unisim convert` makes it: a newline row behind each picture
    "onevision",
    "internvl",  # with Qwen2
    "internvl_phi3",  # as `unisim convert` makes it; its long factors serve beyond 48 tokens
    "mof_interleaved",
    "mof_additive",
)
ALPHA = 0.25

JINJA = {
    "llava_hf": chat_templates.llava_hf(),
    "interleave_hf": chat_templates.interleave_hf(),
    "onevision_hf": chat_templates.onevision_hf(),
    "internvl_hf": chat_templates.internvl_hf(),
}
SYSTEM_MESSAGE = "You answer with one word."  # of the converted InternVL folder
# One user turn, pictures where the prompt marks them.
TURNS = {
    "llava_hf": "USER: {} ASSISTANT:",
    "interleave_hf": "<|im_start|>user\n\n{}<|im_end|>\n<|im_start|>assistant\n",
    "onevision_hf": "<|im_start|>user \n{}<|im_end|><|im_start|>assistant\n",
    "internvl_hf": "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
    "qwen_1_5": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
    "<|im_start|>assistant\n",
    "llava_v1": "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the human's questions. USER: {} ASSISTANT:",
    "phi3_internvl": "<|system|>\n" + SYSTEM_MESSAGE + "<|end|><|user|>\n{}<|end|><|assistant|>\n",
}


def pictures(count, seed=0):
    """PIL pictures of different shapes, with structure at every scale, so that no two look alike to a model."""
    rng = np.random.default_rng(seed)
    shapes = [(75, 50), (40, 61), (133, 44), (51, 170), (60, 60), (90, 47)]
    made = []
    for k in range(count):
        width, height = shapes[(k + seed) % len(shapes)]
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        picture = np.asarray(
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        ).astype(int)
        noisy = picture + rng.integers(-40, 41, picture.shape)
        made.append(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)))
    return made


@dataclass
class TinyVlm:
    """A folder, and what transformers computes of it, in float64."""

    name: str
    folder: Path
    template: str  # its name on the layouts page
    model: torch.nn.Module  # takes inputs_embeds; .generate too. Whole where transformers has the family
    processor: transformers.ProcessorMixin | None  # transformers' own, with the pil backend
    image_processor: transformers.BaseImageProcessor
    tokenizer: tokenizers.Tokenizer
    picture_token: str
    eyes: object = None  # pixels [tiles, ...] of each picture to its rows; None: get_image_features

    @property
    def picture_id(self):
        return self.tokenizer.token_to_id(self.picture_token)

    @property
    def composed(self):
        """True where the model is not one of transformers' own, but put together here."""
        return self.eyes is not None

    def inputs(self, pictures):
        """What transformers' image processor gives for a prompt with these pictures."""
        pictures = [picture.convert("RGB") for picture in pictures]
        if self.name == "onevision":
            return self.image_processor(images=[pictures], return_tensors="pt")
        if self.name.startswith("internvl"):  # the processor's own default, whatever the file says
            return self.image_processor(images=pictures, crop_to_patches=True, return_tensors="pt")
        return self.image_processor(images=pictures, return_tensors="pt")

    def pixels(self, pictures):
        """[tiles, 3, height, width] float32 of each picture."""
        inputs = self.inputs(pictures)
        pixels = inputs["pixel_values"]
        if self.name == "onevision":
            return [tiles.numpy() for tiles in pixels]  # alone, or one tile each: nothing is padded
        if self.name.startswith("internvl"):
            return [tiles.numpy() for tiles in torch.split(pixels, [int(n) for n in inputs["num_patches"]])]
        return [tile[None].numpy() for tile in pixels]

    @torch.no_grad()
    def rows(self, pictures):
        """[rows, width] float64 of each picture, as they stand in a prompt with all of them."""
        if not pictures:
            return []
        if self.composed:
            return [self.eyes(torch.from_numpy(tiles).double()) for tiles in self.pixels(pictures)]
        inputs = self.inputs(pictures)
        pixels = inputs["pixel_values"].double()
        if self.name == "onevision":
            more = {"image_sizes": inputs["image_sizes"], "batch_num_images": inputs["batch_num_images"]}
            return list(self.model.get_image_features(pixels, **more).pooler_output)
        features = self.model.get_image_features(pixels).pooler_output
        if self.name.startswith("internvl"):
            counts = [int(n) for n in inputs["num_patches"]]
            return [tiles.flatten(0, 1) for tiles in torch.split(features, counts)]
        return list(features)

    @torch.no_grad()
    def embeds(self, ids, pictures=()):
        """[1, tokens, width]: the embedding, rows of the pictures in their places."""
        ids = torch.as_tensor(ids)
        rows = self.model.get_input_embeddings()(ids).clone()
        seen = self.rows(list(pictures))
        places = ids == self.picture_id
        assert int(places.sum()) == sum(len(each) for each in seen)
        if seen:
            rows[places] = torch.cat(seen)
        return rows[None]

    @torch.no_grad()
    def logits(self, ids, pictures=()):
        """[tokens, vocabulary] float64, by the model's own forward where there is one."""
        if self.composed or not pictures:
            return self.model(inputs_embeds=self.embeds(ids, pictures)).logits[0]
        inputs = dict(self.inputs(pictures))
        inputs.pop("num_patches", None)
        pixels = inputs.pop("pixel_values").double()
        return self.model(input_ids=torch.as_tensor(ids)[None], pixel_values=pixels, **inputs).logits[0]

    def encode(self, text):
        """Ids of a text in which control tokens count, with what the tokenizer's post-processor puts in front."""
        return self.tokenizer.encode(text).ids

    def spread(self, rows):
        """What stands for a picture of so many rows in a rendered prompt."""
        marks = self.picture_token * rows
        return f"<img>{marks}</img>" if self.name.startswith("internvl") else marks

    def ids(self, prompt, pictures=()):
        """One user turn through the folder's template, each <image> of the prompt spread out.

        The original LLaVA (so the mixtures) tokenises the text around pictures piece by piece, each opening with the
        word mark.
        """
        counts = [len(rows) for rows in self.rows(list(pictures))]
        pieces = TURNS[self.template].format(prompt).split("<image>")
        assert len(pieces) == len(counts) + 1
        if self.name.startswith("mof"):
            ids = self.encode(pieces[0])
            for count, piece in zip(counts, pieces[1:], strict=True):
                ids += [self.picture_id] * count
                ids += self.tokenizer.encode(piece, add_special_tokens=False).ids if piece else []
            return ids
        text = pieces[0]
        for count, piece in zip(counts, pieces[1:], strict=True):
            text += self.spread(count) + piece
        return self.encode(text)


# ---- folders -------------------------------------------------------------------------------------------------------


def _llava(folder, name):
    clip = name == "llava"
    tokenizer, tokenizer_config = parts.tokenizer("llama" if clip else "qwen")
    wrapped = parts.write_tokenizer(folder, tokenizer, tokenizer_config)
    text = (
        parts.llama_config(parts.rows_of_table(tokenizer))
        if clip
        else parts.qwen2_config(parts.rows_of_table(tokenizer), True)
    )
    config = transformers.LlavaConfig(
        vision_config=parts.clip_config() if clip else parts.siglip_config(), text_config=text,
        image_token_index=tokenizer.token_to_id("<image>"), image_seq_length=9,
        vision_feature_layer=-2 if clip else -1, vision_feature_select_strategy="default" if clip else "full",
    )  # fmt: skip
    image_processor = parts.clip_processor() if clip else parts.siglip_processor()
    processor = transformers.LlavaProcessor(
        image_processor, wrapped, patch_size=parts.PATCH, vision_feature_select_strategy=config.vision_feature_select_strategy,
        chat_template=JINJA["llava_hf" if clip else "interleave_hf"], num_additional_image_tokens=int(clip),
    )  # fmt: skip
    return transformers.LlavaForConditionalGeneration, config, processor


def _onevision(folder, name):
    tokenizer, tokenizer_config = parts.tokenizer("qwen")
    wrapped = parts.write_tokenizer(folder, tokenizer, tokenizer_config)
    config = transformers.LlavaOnevisionConfig(
        vision_config=parts.siglip_config(), text_config=parts.qwen2_config(parts.rows_of_table(tokenizer), False),
        image_token_index=tokenizer.token_to_id("<image>"), video_token_index=tokenizer.token_to_id("<video>"),
        image_grid_pinpoints=parts.grids(),
    )  # fmt: skip
    processor = transformers.LlavaOnevisionProcessor(
        parts.onevision_processor(), wrapped, transformers.LlavaOnevisionVideoProcessor(), num_image_tokens=9,
        vision_feature_select_strategy="full", chat_template=JINJA["onevision_hf"],
    )  # fmt: skip
    return transformers.LlavaOnevisionForConditionalGeneration, config, processor


def _internvl(folder, name):
    phi3 = name == "internvl_phi3"
    tokenizer, tokenizer_config = parts.tokenizer("phi3" if phi3 else "internvl")
    wrapped = parts.write_tokenizer(folder, tokenizer, tokenizer_config)
    text = (
        parts.phi3_config(parts.rows_of_table(tokenizer))
        if phi3
        else parts.qwen2_config(parts.rows_of_table(tokenizer), True)
    )
    config = transformers.InternVLConfig(
        vision_config=parts.internvl_vision_config(), text_config=text, tie_word_embeddings=not phi3,
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=4,
    )  # fmt: skip
    processor = transformers.InternVLProcessor(
        parts.internvl_processor(6 if phi3 else 12), wrapped, transformers.InternVLVideoProcessor(), image_seq_length=4,
        chat_template=None if phi3 else JINJA["internvl_hf"],
    )  # fmt: skip
    return transformers.InternVLForConditionalGeneration, config, processor


def _edit_config(folder, **more):
    config = json.loads((folder / "config.json").read_text())
    parts.write(folder, "config.json", config | more)


def _newline_per_image(folder, model, seed):
    """What the conversion of the original layout adds: a tensor, and how it is used."""
    tensors = load_file(folder / "model.safetensors")
    newline = 0.6 * torch.randn(48, generator=torch.Generator().manual_seed(seed + 1))
    save_file(tensors | {"image_newline": newline}, folder / "model.safetensors", {"format": "pt"})
    _edit_config(folder, unisim={"newline_per_image": True, "template": "qwen_1_5"})
    (folder / "chat_template.jinja").unlink()

    def eyes(pixels):
        rows = model.get_image_features(pixels).pooler_output[0]
        return torch.cat([rows, newline.double()[None]])

    return eyes


def _whole(name, folder, seed):
    """A family that transformers has, and the two folders that a conversion makes of one."""
    build = {"onevision": _onevision, "internvl": _internvl, "internvl_phi3": _internvl}.get(name, _llava)
    kind, config, processor = build(folder, name)
    model = parts.randomize(kind(config), seed)
    model.generation_config.eos_token_id = config.text_config.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    model = model.double().eval()
    template = {"llava": "llava_hf", "internvl": "internvl_hf"}.get(name, f"{name}_hf")
    eyes = None
    if name == "interleave_newline":
        template, eyes = "qwen_1_5", _newline_per_image(folder, model, seed)
    if name == "internvl_phi3":
        template = "phi3_internvl"
        _edit_config(folder, unisim={"template": template, "system_message": SYSTEM_MESSAGE})
    token = "<IMG_CONTEXT>" if name.startswith("internvl") else "<image>"
    return TinyVlm(
        name, folder, template, model, processor, processor.image_processor,
        tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), token, eyes,
    )  # fmt: skip


class _Projector(torch.nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.linear_1, self.linear_2 = torch.nn.Linear(width, out), torch.nn.Linear(out, out)

    def forward(self, x):
        return self.linear_2(torch.nn.functional.gelu(self.linear_1(x)))


def _saved(module, folder):
    """Tensors by the names that transformers gives them in files, which are not those of its classes."""
    if isinstance(module, _Projector):
        return {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with tempfile.TemporaryDirectory(dir=folder) as part:
        module.save_pretrained(part)
        return load_file(Path(part) / "model.safetensors")


def _mof(name, folder, seed):
    """MMVP's two towers: transformers' own, merged here."""
    interleaved = name == "mof_interleaved"
    tokenizer, tokenizer_config = parts.tokenizer("llama")
    parts.write_tokenizer(folder, tokenizer, tokenizer_config)
    dinov2 = parts.dinov2_config()
    if not interleaved:
        dinov2.hidden_size = 48  # the features themselves are added
    text = parts.llama_config(parts.rows_of_table(tokenizer))
    modules = {
        "vision_tower": transformers.CLIPVisionModel(parts.clip_config()),
        "second_vision_tower": transformers.Dinov2Model(dinov2),
        "multi_modal_projector": _Projector(48, text.hidden_size),
        "language_model": transformers.LlamaForCausalLM(text),
    }
    if interleaved:
        modules["second_multi_modal_projector"] = _Projector(dinov2.hidden_size, text.hidden_size)
    tensors = {}
    for k, (part, module) in enumerate(modules.items()):
        parts.randomize(module, seed + k)
        tensors |= {f"{part}.{name}": tensor for name, tensor in _saved(module, folder).items()}
        module.double()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    mof = {"kind": "interleaved"} if interleaved else {"kind": "additive", "alpha": ALPHA}
    config = {"model_type": "llava_mof", "mof": mof, "unisim": {"template": "llava_v1"}}
    config |= {"vision_config": parts.clip_config().to_dict(), "second_vision_config": dinov2.to_dict()}
    config |= {"text_config": text.to_dict(), "image_token_index": tokenizer.token_to_id("<image>")}
    config |= {"vision_feature_layer": -2, "vision_feature_select_strategy": "default"}
    parts.write(folder, "config.json", config)
    image_processor = parts.clip_processor()
    parts.write(folder, "preprocessor_config.json", image_processor.to_dict())
    parts.write(folder, "generation_config.json", {"eos_token_id": 2})

    def eyes(pixels):
        first = modules["vision_tower"](pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        # hidden_states[-1] is what the last norm takes.
        second = modules["second_vision_tower"](pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
        project = modules["multi_modal_projector"]
        if not interleaved:
            return project(ALPHA * first + (1 - ALPHA) * second)[0]
        merged = torch.stack([project(first), modules["second_multi_modal_projector"](second)], 2)
        return merged.flatten(1, 2)[0]

    return TinyVlm(
        name, folder, "llava_v1", modules["language_model"], None, image_processor, tokenizer, "<image>", eyes
    )


def make(name, folder, seed=0):
    """Writes the folder `name` of NAMES and gives what transformers computes of it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        return _mof(name, folder, seed) if name.startswith("mof") else _whole(name, folder, seed)
