"""generation_config.json key by key: what transformers' greedy text heeds is heeded by `generate` too, or refused by name."""

import json
import shutil

import pytest
import transformers

import tiny_vlms
import unisim

READ = {"eos_token_id", "repetition_penalty"}
REFUSED = {
    "no_repeat_ngram_size": 3, "encoder_no_repeat_ngram_size": 2, "min_length": 4, "min_new_tokens": 1,
    "encoder_repetition_penalty": 1.2, "num_beams": 4, "guidance_scale": 1.5, "penalty_alpha": 0.6,
    "stop_strings": ["###"], "max_time": 2.5, "suppress_tokens": [5], "begin_suppress_tokens": [5],
    "bad_words_ids": [[5]], "sequence_bias": [[[5], -1.0]], "forced_bos_token_id": 5, "forced_eos_token_id": 5,
    "force_words_ids": [[5]], "constraints": ["a"], "dola_layers": "low",
    "exponential_decay_length_penalty": [5, 1.1], "watermarking_config": {"bias": 2.0}, "token_healing": True,
    "is_assistant": True, "assistant_ensemble_weight": 0.5, "cache_implementation": "quantized",
}  # fmt: skip
SAMPLING = {
    "do_sample": True, "temperature": 0.1, "top_k": 3, "top_p": 0.2, "top_h": 0.5, "min_p": 0.1, "typical_p": 0.4,
    "epsilon_cutoff": 3e-4, "eta_cutoff": 3e-4,
}  # fmt: skip
HARMLESS = {
    # The caller says how long an answer may be.
    "max_length": 21, "max_new_tokens": 2,
    # Of beams, where there are none; of several answers, which greedy text is not.
    "early_stopping": True, "length_penalty": 0.5, "num_beam_groups": 2, "diversity_penalty": 0.3, "low_memory": True,
    "num_return_sequences": 2,
    # The order of logits stays; those that are not finite are an error here.
    "renormalize_logits": True, "remove_invalid_values": True,
    # How it is computed and kept.
    "use_cache": False, "cache_config": {"nbits": 2}, "max_cache_len": 40, "prefill_chunk_size": 3,
    "compile_config": {"dynamic": True}, "disable_compile": True, "continuous_batching_config": {},
    # Drafts, each token of which the model itself confirms.
    "use_mtp": True, "num_assistant_tokens": 3, "num_assistant_tokens_schedule": "constant",
    "assistant_confidence_threshold": 0.9, "prompt_lookup_num_tokens": 4, "max_matching_ngram_size": 2,
    "assistant_early_exit": 1, "assistant_lookbehind": 3, "target_lookbehind": 3, "speculation_type": "dflash",
    # What is returned; tokens of padding, of the prompt's beginning, of an encoder's answer.
    "output_attentions": True, "output_hidden_states": True, "output_scores": True, "output_logits": True,
    "return_dict_in_generate": True, "pad_token_id": 3, "bos_token_id": 4, "decoder_start_token_id": 5,
    "transformers_version": "5.0.0",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_vlms.make("interleave", tmp_path_factory.mktemp("generation") / "tiny").folder


def with_config(folder, at, **more):
    shutil.copytree(folder, at)
    file = at / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    return unisim.Vlm.load(at)


def test_every_key_of_transformers_is_decided_on():
    fields = {name for name in vars(transformers.GenerationConfig()) if name[0] != "_"}
    decided = [*READ, *REFUSED, *SAMPLING, *HARMLESS]
    assert len(decided) == len(set(decided))
    assert fields - set(decided) == set()


def test_what_changes_greedy_text_is_refused_by_name_and_choose_needs_none_of_it(folder, tmp_path):
    model = with_config(folder, tmp_path / "refused", **REFUSED)
    with pytest.raises(NotImplementedError) as refused:
        model.generate([], "Hello.", 2)
    message = str(refused.value)
    listed = message.split("asks for ")[1].split(", which generate does not do")[0]
    assert sorted(listed.split(", ")) == sorted(REFUSED) and "generation_config.json" in message
    assert model.choose([], "Hello.", ("A", "B")).best in (0, 1)


def test_what_does_not_leaves_every_token_as_it_was(folder, tmp_path):
    plain = unisim.Vlm.load(folder)
    model = with_config(folder, tmp_path / "harmless", **SAMPLING, **HARMLESS)
    assert model.generate([], "Hello.", 12, return_ids=True) == plain.generate([], "Hello.", 12, return_ids=True)
