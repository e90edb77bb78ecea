"""The keys of a model's JSON, each read, declared harmless or refused: the C++ reader's `Fields`, for conversions.

A key that nobody looked at might change the arithmetic, so that `finish` refuses it by its name.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Of transformers: where a model came from, how it was trained, what it is asked for. None changes what it computes.
BOOKKEEPING = [
    "model_type", "architectures", "transformers_version", "_name_or_path", "name_or_path", "_commit_hash",
    "auto_map", "torch_dtype", "dtype", "torchscript", "use_bfloat16", "tf_legacy_loss", "return_dict",
    "output_hidden_states", "output_attentions", "use_cache", "gradient_checkpointing",
    "_attn_implementation_autoset", "attn_implementation", "_attn_implementation", "problem_type",
    "num_labels", "initializer_range", "initializer_factor", "attention_dropout", "dropout",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "logit_scale_init_value",
    "is_encoder_decoder", "is_decoder", "add_cross_attention", "cross_attention_hidden_size",
    "tie_encoder_decoder", "max_length", "min_length", "do_sample", "early_stopping", "num_beams",
    "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p",
    "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
    "bad_words_ids", "num_return_sequences", "output_scores", "return_dict_in_generate",
    "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "finetuning_task",
    "id2label", "label2id", "tokenizer_class", "prefix", "sep_token_id", "decoder_start_token_id",
    "task_specific_params", "chunk_size_feed_forward",
]  # fmt: skip

_MISSING = object()


def read_object(file: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not JSON, or not an object.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ValueError(f"[convert] {file}: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"[convert] {file}: found {type(value).__name__}, expected an object")
    return value


class Keys:
    """The keys of one object; null counts as absent, as it does in transformers."""

    def __init__(self, values: Any, file: Path, where: str = "") -> None:
        if not isinstance(values, dict):
            raise ValueError(f"[convert] {file}: {where or 'the top'} is {values!r:.60}, expected an object")
        self.values, self.file, self.where = values, file, where
        self._seen: set[str] = set()

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def _take(self, key: str, otherwise: Any, kind: type | tuple[type, ...], expected: str) -> Any:
        self._seen.add(key)
        value = self.values.get(key)
        if value is None:
            if otherwise is _MISSING:
                raise ValueError(f"[convert] {self.file}: {self.path(key)} is missing, expected {expected}")
            return otherwise
        # bool is an int to Python, and no number to anybody else.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.refused(key, expected)
        return value

    def integer(self, key: str, otherwise: Any = _MISSING, least: int = 1) -> int:
        value: int = self._take(key, otherwise, int, f"a whole number from {least}")
        if value is not otherwise and value < least:
            raise self.refused(key, f"a whole number from {least}")
        return value

    def number(self, key: str, otherwise: Any = _MISSING) -> float:
        value: float = self._take(key, otherwise, (int, float), "a number")
        if value is not otherwise and not abs(value) < float("inf"):
            raise self.refused(key, "a finite number")
        return value

    def boolean(self, key: str, otherwise: Any = _MISSING) -> bool:
        value: bool = self._take(key, otherwise, bool, "true or false")
        return value

    def string(self, key: str, otherwise: Any = _MISSING) -> str:
        value: str = self._take(key, otherwise, str, "a text")
        return value

    def any(self, key: str) -> Any:
        """Whatever there is; None if there is nothing."""
        self._seen.add(key)
        return self.values.get(key)

    def object(self, key: str) -> "Keys":
        return Keys(self._take(key, _MISSING, dict, "an object"), self.file, self.path(key))

    def only(self, key: str, *values: Any, absent: Any = None) -> None:
        """The key, or what stands for it where it is absent, must be one of these values (null is always one)."""
        self._seen.add(key)
        value = self.values.get(key)
        value = absent if value is None else value
        # Typed, so that 0 is not false.
        if value is not None and not any(type(value) is type(one) and value == one for one in values):
            found = "" if self.has(key) else ", which is what the class says where the key is absent"
            supported = " or ".join(json.dumps(one) for one in values) or "nothing"
            raise ValueError(
                f"[convert] {self.file}: {self.path(key)} is {json.dumps(value)}{found}; supported is {supported}"
            )

    def ignore(self, keys: Iterable[str]) -> None:
        """Keys that do not change the arithmetic."""
        self._seen.update(keys)

    def refused(self, key: str, expected: str) -> ValueError:
        """To be raised."""
        value = json.dumps(self.values.get(key))
        return ValueError(f"[convert] {self.file}: {self.path(key)} is {value:.80}, expected {expected}")

    def finish(self) -> None:
        """Raises ValueError naming every key that is not null and that nobody looked at."""
        self._seen.update(BOOKKEEPING)
        left = [
            self.path(key)
            for key, value in self.values.items()
            if value is not None and key not in self._seen
        ]
        if left:
            raise ValueError(
                f"[convert] {self.file}: unknown {', '.join(sorted(left))}: it might change what is computed"
            )
