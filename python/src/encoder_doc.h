#pragma once

/// The docstrings of unisim.Encoder's methods (numpydoc), each under its method's name.
namespace unisim::encoder_doc {

inline constexpr const char* load =
    R"(Load a model folder, or one found by name. Never opens a network connection.

Parameters
----------
path_or_name : str or os.PathLike
    A folder in the layout of Hugging Face, OpenCLIP or timm; what ``unisim get`` installed; or ORG/REPO in
    the Hugging Face cache.
device : str
    "cpu", "cuda" or "cuda:0".
dtype : str
    What the towers compute in: "float32", "bfloat16" or, on CUDA, "float16". Results are float32.
executor : str
    "fused", or "aten" for the reference; the property ``executor`` tells which runs.
batch_invariant : bool
    Rows that do not depend on their batch. On the CPU they never do.

Returns
-------
Encoder

Raises
------
ValueError
    A file of the folder that is missing, broken or contradicts the weights; the message names it.
NotImplementedError
    A family, or a field of the configuration, that is known and not honoured.
OSError
    A file that cannot be read.
RuntimeError
    A device that is not there.
)";

inline constexpr const char* preprocess =
    R"(Pictures exactly as the tower sees them.

Parameters
----------
images : sequence of images
    Each a path, bytes, PIL.Image, numpy uint8 [H, W, 3] or [H, W], or a unisim.Image.

Returns
-------
torch.Tensor
    [n, 3, height, width] float32, resized, cropped and normalised as the folder's files say.

Raises
------
ValueError
    The model has no image tower, or something given is no picture.
OSError
    A file that cannot be read.
)";

inline constexpr const char* embed_images =
    R"(Embeddings of pictures.

Parameters
----------
images : sequence of images
    As for ``preprocess``.
batch_size : int, optional
    Pictures between two calls of progress.
normalize : bool
    Rows of length one.
layer : int, optional
    Hidden layer 0 (the embeddings) to ``layers``, through the last norm; else the model's own output.
pool : str, optional
    "cls" (the default with a layer) or "mean", over the patches.
progress : callable, optional
    Called as progress(done, total).

Returns
-------
torch.Tensor
    [n, dim] float32; with a layer or a pool [n, width].

Raises
------
ValueError
    No image tower, no such layer or pool, or something that is no picture.
KeyboardInterrupt
    Ctrl-C, after the batch in hand.
)";

inline constexpr const char* embed_files =
    R"(Embeddings of files, decoded on threads while the tower runs.

A bad file is a failure, never the end of the run.

Parameters
----------
files : sequence of str or os.PathLike
    JPEG, PNG or WebP files.
batch_size, normalize, layer, pool, progress
    As for ``embed_images``.
apply_orientation : bool
    Turn pictures as their EXIF tag says.

Returns
-------
tuple
    (rows [n, dim] of the files that could be read, their indices, [(file, error), ...] of the others).

Raises
------
ValueError
    No image tower, no such layer or pool.
)";

inline constexpr const char* embed_pixels =
    R"(Embeddings of pictures that are prepared already.

Parameters
----------
pixels : torch.Tensor or anything with __dlpack__
    [n, 3, height, width], floating, as ``preprocess`` makes them.
batch_size, normalize, layer, pool, progress
    As for ``embed_images``.

Returns
-------
torch.Tensor
    [n, dim] float32; with a layer or a pool [n, width].

Raises
------
ValueError
    A shape or type that is not the tower's, or values that are not finite.
)";

inline constexpr const char* patch_tokens =
    R"(Tokens of the patches, row by row, without class and register tokens.

Parameters
----------
images : sequence of images, or torch.Tensor
    As for ``preprocess``; a tensor is taken as pixels [n, 3, height, width].
layer : int, optional
    k: Hugging Face's hidden_states[k] as it stands. Default: the last, through the last norm.

Returns
-------
torch.Tensor
    [n, patches, width] float32.

Raises
------
ValueError
    No image tower, no such layer, or something that is no picture.
)";

inline constexpr const char* tokenize =
    R"(Texts as rows of ids, cut and padded as the model's own tokenizer does.

Parameters
----------
texts : str or sequence of str

Returns
-------
torch.Tensor
    [n, context] int64.

Raises
------
ValueError
    No text tower, or no tokenizer at hand.
)";

inline constexpr const char* embed_texts =
    R"(Embeddings of texts.

Parameters
----------
texts : str or sequence of str
batch_size, normalize, progress
    As for ``embed_images``.

Returns
-------
torch.Tensor
    [n, dim] float32.

Raises
------
ValueError
    No text tower, or no tokenizer at hand.
)";

inline constexpr const char* embed_tokens =
    R"(Embeddings of texts that are tokenised already.

Parameters
----------
ids : torch.Tensor or anything with __dlpack__
    [n, length] integers, length up to the model's context.
batch_size, normalize, progress
    As for ``embed_images``.

Returns
-------
torch.Tensor
    [n, dim] float32.

Raises
------
ValueError
    No text tower, a shape or an id that the model has no room for.
)";

}  // namespace unisim::encoder_doc
