"""Texts to ids as transformers and open_clip make them."""

import json
import random
import shutil

import open_clip
import pytest
import sentencepiece
import torch
import transformers
from transformers.convert_slow_tokenizer import SpmConverter

import unisim
from encoder_models import OPEN_CLIP_TOWER, clip, open_clip_folder, siglip

WORDS = """
photo of a red cup two dogs running on the beach HELLO World don't it's we'll naïve café Straße ΣΊΣΥΦΟΣ
Ὀδυσσεύς ΟΔΟΣ Москва İstanbul 東京タワー 北京 서울 مرحبا שלום नमस्ते ไทย 🙂 👩‍👩‍👧 🇩🇪 ½ x² 3.14
1,000,000 #tag @user a_b under__score e-mail (parens) [x] {y} <b> "quoted" ‘curly’ “double” … — ｆｕｌｌ　ｗｉｄｔｈ
ﬁne ﬂow \t tab \u00a0nbsp
""".split(" ")  # noqa: SIM905  a list of words would hide what they are
FIXED = [
    "",
    " ",
    "  leading and trailing  ",
    "a",
    "A PHOTO OF A CAT!",
    "line\nbreak\r\nand\ttab",
    "word " * 100,
    "x" * 300,
    "🙂" * 60,
    "e\u0301 decomposed",
    "!?.,;:",
    "Hello, World!  The CAT.",
    "1 2 3 4",
]


@pytest.fixture(scope="module")
def lines():
    draw = random.Random(3)
    return FIXED + [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(300)]


def same(ours, theirs, lines):
    assert ours.shape == theirs.shape
    different = (ours != theirs).any(1).nonzero().flatten().tolist()
    assert not different, (lines[different[0]], ours[different[0]], theirs[different[0]])


def clip_folder(data, folder):
    clip(folder, 1)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(data("tokenizers/clip") / name, folder / name)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 49408
    config["text_config"]["max_position_embeddings"] = 77
    config["text_config"]["eos_token_id"] = 49407  # a text without its end token is pooled from its first row
    model = transformers.CLIPModel(transformers.CLIPConfig(**config))
    model.save_pretrained(folder)
    return folder


def test_clip_ids_are_those_of_transformers(data, tmp_path, lines):
    folder = clip_folder(data, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = tokenizer(lines, padding="max_length", truncation=True, return_tensors="pt").input_ids
    encoder = unisim.Encoder.load(folder)
    ours = encoder.tokenize(lines)
    assert ours.shape[1] == 77
    same(ours, theirs, lines)
    assert torch.equal(encoder.embed_texts(lines[:5]), encoder.embed_tokens(ours[:5]))
    assert encoder.tokenize([]).shape == (0, 77)
    assert encoder.embed_texts([]).shape == (0, 28)


def test_lengths_that_a_tokenizer_was_saved_with_are_not_the_models(data, tmp_path, lines):
    folder = clip_folder(data, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer(lines[:2], padding="max_length", max_length=9, truncation=True)
    tokenizer.save_pretrained(folder)
    saved = json.loads((folder / "tokenizer.json").read_text())
    assert saved["truncation"]["max_length"] == 9 and saved["padding"]["strategy"] == {"Fixed": 9}
    theirs = tokenizer(
        lines, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    ).input_ids
    same(unisim.Encoder.load(folder).tokenize(lines), theirs, lines)


def test_what_a_clip_processor_saves_is_read_whole(data, tmp_path, lines):
    folder = clip_folder(data, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    images = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    (folder / "preprocessor_config.json").unlink()
    transformers.CLIPProcessor(images, tokenizer).save_pretrained(folder)
    assert (folder / "processor_config.json").exists() and not (folder / "preprocessor_config.json").exists()
    encoder = unisim.Encoder.load(folder)
    assert encoder.image_size == 45
    theirs = tokenizer(lines[:20], padding="max_length", truncation=True, return_tensors="pt").input_ids
    same(encoder.tokenize(lines[:20]), theirs, lines)


def test_weights_tagged_openai_compute_quickgelu(tmp_path):
    plain, tagged = tmp_path / "ViT-B-32" / "laion", tmp_path / "ViT-B-32" / "openai"
    vision = OPEN_CLIP_TOWER | {"image_size": 45, "patch_size": 9}
    for folder in (plain, tagged):
        folder.mkdir(parents=True)
        open_clip_folder(folder, 1, vision=vision)
    pixels, ids = torch.randn(1, 3, 45, 45), torch.arange(12)[None]
    quick = tmp_path / "quick"
    quick.mkdir()
    reference = open_clip_folder(quick, 1, vision=vision, quick_gelu=True)
    encoder = unisim.Encoder.load(tagged)
    assert encoder.facts["activation"] == "quick_gelu" == encoder.facts["text activation"]
    with torch.no_grad():
        for ours, theirs in (
            (encoder.embed_pixels(pixels, normalize=False), reference.images(pixels)),
            (encoder.embed_tokens(ids, normalize=False), reference.texts(ids)),
        ):
            assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()
    assert unisim.Encoder.load(plain).facts["activation"] == "gelu"


# ftfy also guesses at text that was decoded wrongly, which we leave alone; no line here is such a text.
@pytest.mark.parametrize("clean", ["lower", "whitespace"])
def test_open_clip_ids_are_those_of_its_own_tokenizer(data, tmp_path, lines, clean, monkeypatch):
    monkeypatch.setenv("UNISIM_CLIP_TOKENIZER", str(data("tokenizers/clip")))
    more = [
        "&lt;b&gt; &amp;amp; &eacute; &#233; &#x1F642; &notit; &copy &hellip",
        "A &amp B < C &eacute;",
        "&amp;lt;",
    ]
    text = {"context_length": 20, "vocab_size": 49408, "tokenizer_kwargs": {"clean": clean}}
    open_clip_folder(tmp_path, 1, vision=OPEN_CLIP_TOWER | {"image_size": 45, "patch_size": 9}, text=text)
    if clean == "whitespace":
        lines = [line.lower() for line in lines]  # CLIP's tokenizer.json lowers by itself
    texts = lines + more
    theirs = open_clip.tokenizer.SimpleTokenizer(context_length=20, clean="lower")(texts)
    same(unisim.Encoder.load(tmp_path).tokenize(texts), theirs, texts)


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory):
    """SigLIP with a small vocabulary trained here, in transformers' slow form and as a tokenizer.json."""
    folder = tmp_path_factory.mktemp("siglip")
    draw = random.Random(5)
    lower = [word.lower() for word in WORDS if word.isascii()]
    (folder / "corpus.txt").write_text("\n".join(" ".join(draw.choices(lower, k=12)) for _ in range(400)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=70,
        model_type="unigram",
        pad_id=-1,
        unk_id=2,
        eos_id=1,
        bos_id=-1,
        minloglevel=2,
    )
    slow = transformers.SiglipTokenizer(str(folder / "spiece.model"), model_max_length=16)

    class Converter(SpmConverter):
        def vocab(self, proto):
            return [(piece.piece, piece.score) for piece in proto.pieces]

        def post_processor(self):
            end = [("</s>", 1)]
            return transformers.convert_slow_tokenizer.processors.TemplateProcessing("$A </s>", "$A $B", end)

    slow.save_pretrained(folder)
    fast = Converter(slow).converted()
    fast.save(str(folder / "tokenizer.json"))
    siglip(folder, 3)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"vocab_size": 70, "max_position_embeddings": 16}
    transformers.SiglipModel(transformers.SiglipConfig(**config)).save_pretrained(folder)
    return folder, slow


def test_siglip_ids_are_those_of_the_sentencepiece_tokenizer(siglip_folder, lines):
    folder, slow = siglip_folder
    theirs = slow(lines, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert theirs.shape[1] == 16
    same(unisim.Encoder.load(folder).tokenize(lines), theirs, lines)


def test_a_tokenizer_without_canonicalisation_is_taken_as_it_is(siglip_folder, lines, tmp_path):
    folder = shutil.copytree(siglip_folder[0], tmp_path / "plain")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "</s>", "model_max_length": 9})
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for side in ("right", "left"):
        tokenizer.padding_side = side
        theirs = tokenizer(lines, padding="max_length", truncation=True, return_tensors="pt").input_ids
        config = json.loads((folder / "tokenizer_config.json").read_text()) | {"padding_side": side}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        ours = unisim.Encoder.load(folder).tokenize(lines)
        same(ours, theirs, lines)


@pytest.mark.parametrize("clean", ["whitespace", "lower", "canonicalize"])
def test_open_clip_with_a_tokenizer_of_hugging_face(siglip_folder, lines, tmp_path, clean):
    shutil.copyfile(siglip_folder[0] / "tokenizer.json", tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "</s>"})
    )
    text = {
        "hf_tokenizer_name": "timm/some-siglip",
        "tokenizer_kwargs": {"clean": clean},
        "context_length": 14,
    }
    open_clip_folder(tmp_path, 1, vision=OPEN_CLIP_TOWER | {"image_size": 45, "patch_size": 9}, text=text)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
    same(unisim.Encoder.load(tmp_path).tokenize(lines), tokenizer(lines), lines)


def test_no_tokenizer_is_an_error_only_when_texts_are_tokenised(tmp_path, monkeypatch):
    monkeypatch.setenv("UNISIM_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("UNISIM_CLIP_TOKENIZER", raising=False)
    folder = tmp_path / "model"
    folder.mkdir()
    open_clip_folder(folder, 1, vision=OPEN_CLIP_TOWER | {"image_size": 45, "patch_size": 9})
    encoder = unisim.Encoder.load(folder)
    assert encoder.embed_tokens(torch.ones(2, 12, dtype=torch.int64)).shape == (2, 24)
    with pytest.raises(ValueError, match="UNISIM_CLIP_TOKENIZER"):
        encoder.tokenize(["a"])


def test_ids_outside_the_vocabulary_are_refused(data, tmp_path):
    clip(tmp_path, 1)  # rows for 90 ids
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(data("tokenizers/clip") / name, tmp_path / name)
    encoder = unisim.Encoder.load(tmp_path)
    with pytest.raises(ValueError, match="rows for 90 ids"):
        encoder.tokenize(["a photo"])
    for ids, said in (
        (torch.full((1, 12), 90), "90"),
        (torch.full((1, 12), -1), "-1"),
        (torch.ones(1, 13, dtype=torch.int64), "13"),
        (torch.ones(12, dtype=torch.int64), "dimensions"),
        (torch.ones(1, 12), "integers"),
    ):
        with pytest.raises(ValueError, match=said):
            encoder.embed_tokens(ids)
