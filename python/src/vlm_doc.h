#pragma once

/// What Python says of Vlm.
namespace unisim {

inline constexpr const char* kVlmDoc = R"(A vision-language model that is asked: made by `Vlm.load`.

LLaVA, LLaVA-OneVision, InternVL with Llama, Qwen2, Qwen3 or Phi-3 behind it, or two mixed towers. A prompt marks
pictures by "<image>", one of parts by `PICTURE`; one without marks has the pictures first. Whatever else stands in it
stays text. Safe to share between threads, which wait for each other.)";

inline constexpr const char* kPictureDoc =
    R"(Where a picture stands in a prompt of parts: ["Which fits ", caption, "? ", PICTURE, PICTURE].)";

inline constexpr const char* kLoadDoc = R"(A model of a folder, by the folder's own files.

Parameters
----------
folder : path
    In the layout of Hugging Face (llava, llava_onevision, internvl), or what `unisim convert` made.
device, dtype : str
executor : {"auto", "fused", "aten"}
    What computes the decoder: LibTorch's operations ("aten"), the library's own kernels ("fused", on the CPU; heads whose
    width is no multiple of 8, or above 128, stay with LibTorch's), or the faster of them ("auto": "aten" so far). The
    property `executor` tells which runs, `facts` why not the other.
feature_bytes, prefix_bytes : int
    Bounds of what is kept: rows of pictures seen before, keys and values of prompts seen before. 0: nothing.

Returns
-------
Vlm

Raises
------
ValueError
    Something of the folder is missing, of another shape or not finite: by file, key or tensor.
NotImplementedError
    A model_type, or a field of the configuration, that is not honoured.
)";

inline constexpr const char* kChooseDoc = R"(Probabilities of answers, in one prefill.

With l the sum of log p of a choice's tokens behind the prompt, a choice has exp(l) over the sum of all choices'.

Parameters
----------
images : image or list of images, or None
prompt : str, or list of str and `PICTURE`
    In a str "<image>" marks a picture. In a list nothing in a str does: the texts of others can stand there.
choices : list of str
    Different, not empty; tokenised as the answer would follow the prompt.
template : str, optional
    A name of `vlm_templates()`; the folder's own by default. "raw": the prompt is already rendered, its control
    tokens and markers count.
length : {"sum", "mean"}
    "mean" divides l by the number of tokens.
first_token : bool
    By the first token of each choice alone.
before : list of (prompt, pictures, answer)
    Earlier turns; their pictures are the first of `images`.
kept_prefixes : bool
    Begins behind the rows of prompts asked before, where they begin alike, and keeps this one's: the last bits of a
    score may then depend on what was asked before. False: neither.

Returns
-------
Choice

Raises
------
ValueError
    More or fewer markers than pictures, an empty or doubled choice, choices that share a first token under
    `first_token`, a prompt that is too long (says how many pictures fit), an unknown template (lists the known), a
    "raw" prompt in parts.
NotFiniteError
    The logits are not finite.
)";

inline constexpr const char* kChooseManyDoc = R"(Many questions at once, packed by their number of tokens.

Parameters
----------
items : list of (images, prompt, choices)
template, length, first_token, kept_prefixes
    As for `choose`, of all.
before : list of (prompt, pictures, answer)
    Earlier turns of each item; their pictures are the first of its images.
progress : callable, optional
    Called as progress(items done, items); an exception from it ends the run.

Returns
-------
list of Choice
)";

inline constexpr const char* kGenerateDoc = R"(The model's own answer, greedy: always the most probable token.

Parameters
----------
images, prompt, template, before, kept_prefixes
    As for `choose`.
max_new_tokens : int
stop : str or list of str, optional
    Texts that end the answer; they are not part of it. The model's own stop tokens always do.
return_ids : bool
    Gives (text, ids) instead of the text; the stop token is left out.
progress : callable, optional
    Called as progress(tokens done, max_new_tokens).

Returns
-------
str, or (str, list of int)
)";

inline constexpr const char* kEncodeDoc = R"(Token ids of a prompt, each picture spread over the ids of its rows.

Parameters
----------
images, prompt, template, before
    As for `choose`.

Returns
-------
list of int
)";

inline constexpr const char* kPromptDoc = R"(A prompt as the model sees it: ids, where pictures stand, the text.

Parameters
----------
images, prompt, template, before
    As for `choose`.

Returns
-------
VlmPrompt
)";

inline constexpr const char* kPreprocessDoc = R"(What the tower sees of each image of one prompt.

Parameters
----------
images : image or list of images
    How one is cut may depend on whether there are others (LLaVA-OneVision).

Returns
-------
list of torch.Tensor
    [tiles, 3, height, width] float32 each.
)";

inline constexpr const char* kFeaturesDoc = R"(The rows that stand for each image of one prompt.

Parameters
----------
images : image or list of images

Returns
-------
list of torch.Tensor
    [rows, width] each, in the model's dtype; newline rows included.
)";

inline constexpr const char* kLogitsDoc = R"(Logits of the token behind a prompt.

Parameters
----------
images, prompt, template, before
    As for `choose`.

Returns
-------
torch.Tensor
    [vocabulary] float32.
)";

inline constexpr const char* kByAskingDoc = R"(A metric that asks a vision-language model: its answers are the scores.

Six of the seven tasks of UniSim-Bench by the benchmark's own prompts (arXiv 2412.10594): `rank`, `odd_one_out` of
three, `attribute` of two; and an image with a `Text` by VQAScore, the probability of "Yes". Two bare images and
retrieval are refused.

Parameters
----------
vlm : Vlm
mode : {"probability", "text"}
    "probability": the share of each option's letter. "text": the answer is decoded, greedy, and read by the
    published string rules, quirks kept.
swap : bool
    Candidates change places (three rotate) and scores are averaged; the lean to the first letter is reported.
shots : int
    Solved items that stand before each as earlier turns; `evaluate` takes them from its `examples`, as many of each
    label, by `seed`.
seed : int
reason : bool
    The model first describes the differences (greedy, at most 128 tokens), then is asked for the letter.
template : str, optional
    Instead of the folder's own; "raw" is none here.

Returns
-------
Metric

Raises
------
ValueError
    An unknown mode, negative shots, an unknown template (lists the known), a folder whose own is not known.
)";

}  // namespace unisim
