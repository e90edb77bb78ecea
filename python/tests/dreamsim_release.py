"""DreamSim's releases in small: random backbones in the layouts of the authors' archives, tuned by `peft` itself."""

import json

import numpy as np
import peft
import torch
from PIL import Image
from torch.nn.functional import gelu, interpolate, layer_norm, linear

from encoder_models import randomize

SIDE, WIDTH, HEADS, DEPTH, OUT, RANK, ALPHA = 224, 128, 2, 2, 24, 4, 0.5
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPENAI = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

PATCHES = {
    "dino_vitb16": 16,
    "dinov2_vitb14": 14,
    "synclr_vitb16": 16,
    "clip_vitb16": 16,
    "clip_vitb32": 32,
    "open_clip_vitb16": 16,
    "open_clip_vitb32": 32,
}
ENSEMBLE = ("dino_vitb16", "clip_vitb16", "open_clip_vitb16")


class Gain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.ones(WIDTH))


class Layers(torch.nn.Module):
    """Named children, and no forward: the arithmetic is Backbone's."""

    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


class Backbone(torch.nn.Module):
    """A ViT under DINO's names, in plain operations; only qkv is called, which peft wraps."""

    def __init__(self, name):
        super().__init__()
        self.clip, self.dinov2, patch = "clip" in name, name.startswith("dinov2"), PATCHES[name]
        self.eps, self.quick, self.patch = 1e-5 if self.clip else 1e-6, name.startswith("clip"), patch
        table = (518 if self.dinov2 else SIDE) // patch
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, 1 + table**2, WIDTH))
        self.patch_embed = Layers(proj=torch.nn.Conv2d(3, WIDTH, patch, patch))
        self.blocks = torch.nn.ModuleList(self.block() for _ in range(DEPTH))
        self.norm = torch.nn.LayerNorm(WIDTH)
        if self.clip:
            self.pos_drop = torch.nn.LayerNorm(WIDTH)
        if self.dinov2:
            self.mask_token = torch.nn.Parameter(torch.zeros(1, WIDTH))

    def block(self):
        dense, norm = torch.nn.Linear, torch.nn.LayerNorm
        gains = {"ls1": Gain(), "ls2": Gain()} if self.dinov2 else {}
        attention = Layers(qkv=dense(WIDTH, 3 * WIDTH), proj=dense(WIDTH, WIDTH))
        mlp = Layers(fc1=dense(WIDTH, 4 * WIDTH), fc2=dense(4 * WIDTH, WIDTH))
        return Layers(norm1=norm(WIDTH), attn=attention, norm2=norm(WIDTH), mlp=mlp, **gains)

    def normed(self, norm, x):
        return layer_norm(x, (WIDTH,), norm.weight, norm.bias, self.eps)

    def positions(self):
        if not self.dinov2:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].reshape(1, 37, 37, WIDTH).permute(0, 3, 1, 2)
        grid = interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], grid.permute(0, 2, 3, 1).reshape(1, 256, WIDTH)], 1)

    def attention(self, layers, x):
        n, tokens, _ = x.shape
        q, k, v = layers.qkv(x).reshape(n, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5, -1)
        joined = (weights @ v).transpose(1, 2).reshape(n, tokens, WIDTH)
        return linear(joined, layers.proj.weight, layers.proj.bias)

    def mlp(self, layers, x):
        hidden = linear(x, layers.fc1.weight, layers.fc1.bias)
        hidden = hidden * torch.sigmoid(1.702 * hidden) if self.quick else gelu(hidden)
        return linear(hidden, layers.fc2.weight, layers.fc2.bias)

    def forward(self, pixels):
        """The class token after the last block, and after the last norm."""
        conv = self.patch_embed.proj
        x = torch.conv2d(pixels, conv.weight, conv.bias, self.patch).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), 1, WIDTH), x], 1) + self.positions()
        if self.clip:
            x = self.normed(self.pos_drop, x)
        for block in self.blocks:
            more = self.attention(block.attn, self.normed(block.norm1, x))
            x = x + (block.ls1.gamma * more if self.dinov2 else more)
            more = self.mlp(block.mlp, self.normed(block.norm2, x))
            x = x + (block.ls2.gamma * more if self.dinov2 else more)
        return x[:, 0], self.normed(self.norm, x[:, 0])


class Extractor(torch.nn.Module):
    def __init__(self, name, seed):
        super().__init__()
        self.name, self.model = name, randomize(Backbone(name), seed)
        with torch.no_grad():  # small tokens, so that a norm's epsilon shows
            for p in (self.model.cls_token, self.model.pos_embed, *self.model.patch_embed.parameters()):
                p.mul_(0.02)
        self.proj = 0.3 * torch.randn(WIDTH, OUT, generator=torch.Generator().manual_seed(seed + 100))

    def forward(self, picture):
        mean, std = IMAGENET if "clip" not in self.name else OPENAI
        pixels = (picture - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        last, normed = self.model(pixels)
        return normed @ self.proj if "clip" in self.name else last


class Tuned(torch.nn.Module):
    """What the authors tune: all extractors in one model, E(x) their features side by side, centred, of length one."""

    def __init__(self, names, seed=0):
        super().__init__()
        self.extractor_list = torch.nn.ModuleList(Extractor(name, seed + k) for k, name in enumerate(names))

    def forward(self, pictures):
        e = torch.cat([extractor(pictures) for extractor in self.extractor_list], -1)
        e = e - e.mean(1, keepdim=True)
        return e / e.norm(dim=1, keepdim=True)


def content_of(extractor):
    """What torch.save was given, and the file's name."""
    state = {name: t.clone() for name, t in extractor.model.state_dict().items()}
    match extractor.name:
        case "dino_vitb16":
            return "dino_vitbase16_pretrain.pth", state
        case "dinov2_vitb14":
            return "dinov2_vitb14_pretrain.pth", state
        case "synclr_vitb16":
            named = {f"module.visual.{name}": t for name, t in state.items()}
            return "synclr_vit_b_16.pth", {"model": named, "epoch": 3}
    return f"{extractor.name}_pretrain.pth.tar", {"state_dict": state | {"proj": extractor.proj}}


def release(folder, model, seed=0):
    """Writes the release of a model into the folder; the tuned model, its LoRA beside the weights as peft has it."""
    plain = Tuned(ENSEMBLE if model == "ensemble" else [model], seed)
    for extractor in plain.extractor_list:
        name, content = content_of(extractor)
        torch.save(content, folder / name)
    wanted = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.3, bias="none", target_modules=["qkv"])
    tuned = peft.get_peft_model(plain, wanted)
    generator = torch.Generator().manual_seed(seed + 50)
    with torch.no_grad():
        for name, p in tuned.named_parameters():
            if "lora_" in name:  # B starts as zero, and would change nothing
                p.copy_(torch.randn(p.shape, generator=generator))
    tuned.save_pretrained(folder / (f"{model}_lora" if model == "ensemble" else f"{model}_single_lora"))
    return tuned.eval()


def change(file, **fields):
    content = json.loads(file.read_text()) | fields
    file.write_text(json.dumps(content))


def picture(seed, size):
    """Coarse colours under fine grain, so that the filter shows."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (5, 4, 3), np.uint8)).resize(size, Image.BICUBIC)
    grain = generator.integers(-30, 31, (size[1], size[0], 3))
    return np.clip(np.asarray(coarse).astype(int) + grain, 0, 255).astype(np.uint8)


PICTURES = [picture(k, size) for k, size in enumerate([(300, 180), (224, 224), (120, 260)])]


def distances(model):
    """Of the first picture to each, as the authors' code prepares and compares them."""
    squares = [np.asarray(Image.fromarray(one).resize((224, 224), Image.BICUBIC)) for one in PICTURES]
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        rows = model(pixels)
    return 1 - torch.nn.functional.cosine_similarity(rows[:1], rows)
