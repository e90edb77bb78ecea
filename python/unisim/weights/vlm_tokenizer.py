"""The tokenizer of a vision-language model's folder: tokenizer.json copied, or made of what older folders have instead
(tokenizer.model; vocab.json with merges.txt), with the tokens that the model's own code adds at start.

transformers makes it, which unisim does not need otherwise. Its classes are called by their names, so that a folder's
auto_map, which would have it run the folder's code, is never looked at.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisim.weights.json_keys import Keys, read_object

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
NAMED = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True)
class Tokens:
    """What a folder's other files need to know of its tokenizer."""

    source: Path
    ids: dict[str, int]  # of the added tokens
    rows: int  # of the decoder's embedding
    origin: str  # "tokenizer.json", or what it was made of
    picture: str = ""  # what stands for a row of a picture

    def id(self, token: str) -> int:
        """ValueError if it is no added token, or the decoder has no row for it."""
        if token not in self.ids:
            raise ValueError(
                f"[convert] {self.source}: no token {token!r} among the tokenizer's added tokens"
            )
        if self.ids[token] >= self.rows:
            raise ValueError(
                f"[convert] {self.source}: token {token!r} has the id {self.ids[token]}, and the decoder "
                f"{self.rows} tokens"
            )
        return self.ids[token]


def write_tokenizer(
    source: Path, made: Path, room: Path, rows: int, picture: str = "", named: dict[str, str] | None = None
) -> Tokens:
    """tokenizer.json and tokenizer_config.json of the folder that is being made.

    Parameters
    ----------
    source
        The folder as its authors publish it.
    made, room
        The folder to be, and one for what is in between.
    rows
        How many tokens the decoder has.
    picture
        A token for rows of pictures that the tokenizer gets behind all others. If the decoder has no row for it, a
        token that no text gives stands for it, Tokens.picture: a row more would change every probability.
    named
        Attribute to token, for transformers' processors.

    Raises
    ------
    ValueError
        If there is no tokenizer, a file is damaged, or says what is not honoured.
    RuntimeError
        If transformers is needed and not installed.
    OSError
        If a file cannot be read or written.
    """
    file = source / "tokenizer_config.json"
    values = read_object(file) if file.is_file() else {}
    keys = Keys(values, file)
    keys.only("add_eos_token", False)
    if (source / "tokenizer.json").is_file():
        tokenizer, origin, bos = read_object(source / "tokenizer.json"), "tokenizer.json", None
    elif (source / "tokenizer.model").is_file():
        tokenizer, origin, bos = _of_sentencepiece(source, keys, room), "tokenizer.model", True
    elif (source / "vocab.json").is_file() and (source / "merges.txt").is_file():
        tokenizer, origin, bos = _of_merges(source, room), "vocab.json", False
    else:
        expected = "tokenizer.json, tokenizer.model, or vocab.json and merges.txt"
        raise ValueError(f"[convert] {source}: no tokenizer here, expected {expected}")
    ids = _added(tokenizer, values, source)
    if picture:
        picture = _place(tokenizer, ids, picture, rows, _named(source, values), source)
    tokenizer["added_tokens"].sort(key=lambda token: token["id"])
    (made / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    # Where the key is absent, the older classes say it; a tokenizer.json says it itself.
    said = keys.boolean("add_bos_token", bos)
    config |= {} if said is None else {"add_bos_token": said}
    config |= {key: token for key, token in _named(source, values).items() if token is not None}
    if isinstance(length := values.get("model_max_length"), int | float):
        config["model_max_length"] = length
    if named:
        config["extra_special_tokens"] = named
    (made / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return Tokens(source, ids, rows, origin, picture)


def _content(token: Any) -> str | None:
    """A token is written as a text, or as an object with its flags."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) and token else None


def _named(source: Path, values: dict[str, Any]) -> dict[str, str | None]:
    """Beginning, end, padding, unknown: of tokenizer_config.json, else of special_tokens_map.json."""
    file = source / "special_tokens_map.json"
    older = read_object(file) if file.is_file() else {}
    return {key: _content(values.get(key)) or _content(older.get(key)) for key in NAMED}


def _added(tokenizer: dict[str, Any], values: dict[str, Any], source: Path) -> dict[str, int]:
    """Completes added_tokens of a tokenizer.json, and gives their ids."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        raise ValueError(
            f"[convert] {source}: the tokenizer has no model.vocab of names and ids, or no added_tokens"
        )
    ids = {token["content"]: int(token["id"]) for token in added}
    file = source / "tokenizer_config.json"
    decoder = Keys(values.get("added_tokens_decoder") or {}, file, "added_tokens_decoder")
    for number, token in decoder.values.items():
        name = _content(token)
        if name is None or not isinstance(token, dict) or not number.isdecimal():
            raise ValueError(
                f"[convert] {file}: added_tokens_decoder.{number} is {token!r:.60}, expected a token"
            )
        known = ids.get(name, vocabulary.get(name))
        if known is not None and known != int(number):
            raise ValueError(
                f"[convert] {file}: token {name!r} has the id {number}, and {known} in the tokenizer"
            )
        if name not in ids:
            # transformers adds what is only here.
            added.append(
                {"id": int(number), "content": name} | {flag: bool(token.get(flag)) for flag in FLAGS}
            )
            ids[name] = int(number)
    if len(set(ids.values())) != len(ids):
        raise ValueError(f"[convert] {source}: two added tokens of one id in the tokenizer")
    return ids


def _place(
    tokenizer: dict[str, Any],
    ids: dict[str, int],
    picture: str,
    rows: int,
    named: dict[str, str | None],
    source: Path,
) -> str:
    """The token that stands for a picture's rows: `picture`, added if need be, or what is never said."""
    if picture not in ids:
        vocabulary = tokenizer["model"]["vocab"]
        free = vocabulary.get(picture, 1 + max([*vocabulary.values(), *ids.values()]))
        if free < rows:
            token = {"id": free, "content": picture} | {flag: flag == "special" for flag in FLAGS}
            tokenizer["added_tokens"].append(token)
            ids[picture] = free
    if ids.get(picture, rows) < rows:
        return picture
    for other in (named["unk_token"], named["pad_token"]):
        if other is not None and ids.get(other, rows) < rows:
            return other
    raise ValueError(
        f"[convert] {source}: the decoder has {rows} tokens and no row to spare for {picture!r}, and the tokenizer no "
        "unk_token or pad_token among its added tokens"
    )


@contextlib.contextmanager
def _staged(source: Path, room: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """A folder of the tokenizer's files alone, in which nothing names code."""
    folder = room / "tokenizer"
    folder.mkdir()
    for name in (*names, "added_tokens.json", "special_tokens_map.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    file = source / "tokenizer_config.json"
    if file.is_file():
        code = ("auto_map", "tokenizer_class", "chat_template", "processor_class", "tokenizer_file")
        values = {key: value for key, value in read_object(file).items() if key not in code}
        (folder / file.name).write_text(json.dumps(values), encoding="utf-8")
    yield folder


def _transformers(what: str) -> Any:
    try:
        import transformers
    except ImportError:
        raise RuntimeError(
            f"[convert] to make tokenizer.json of {what}, transformers is needed: "
            f"{sys.executable} -m pip install transformers sentencepiece protobuf"
        ) from None
    return transformers


def _loaded(kind: Any, folder: Path, source: Path, **options: Any) -> dict[str, Any]:
    try:
        tokenizer = kind.from_pretrained(str(folder), local_files_only=True, **options)
        text = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # a damaged file may raise nearly anything
        raise ValueError(
            f"[convert] {source}: its tokenizer cannot be read: {' '.join(str(error).split())[:200]}"
        ) from error
    value: dict[str, Any] = json.loads(text)
    return value


def _of_sentencepiece(source: Path, keys: Keys, room: Path) -> dict[str, Any]:
    """Of Llama's and Phi-3's tokenizer.model."""
    kind = _transformers("tokenizer.model").LlamaTokenizer
    # The class for which these folders were written said "legacy" where they say nothing: every piece of text behind a
    # token opens with the word mark, not only the first.
    legacy = keys.boolean("legacy", True)
    with _staged(source, room, ("tokenizer.model",)) as folder:
        tokenizer = _loaded(kind, folder, source, legacy=legacy)
    if legacy:
        # transformers' Metaspace puts no mark in front of a text that opens with a space; SentencePiece does, and so do
        # the tokenizer.json files that were published for these models, of which this is the normalizer.
        mark = {"type": "Prepend", "prepend": "\u2581"}
        spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
        tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [mark, spaces]}
        tokenizer["pre_tokenizer"] = None
    return tokenizer


def _of_merges(source: Path, room: Path) -> dict[str, Any]:
    """Of Qwen's vocab.json and merges.txt."""
    kind = _transformers("vocab.json and merges.txt").Qwen2Tokenizer
    with _staged(source, room, ("vocab.json", "merges.txt")) as folder:
        return _loaded(kind, folder, source)
