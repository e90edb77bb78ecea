"""The extension's types; the docstrings are in the extension itself. test_stub.py holds this file to what is bound."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, overload

import numpy
import PIL.Image
import torch

class _Dlpack(Protocol):
    def __dlpack__(self, *arguments: Any, **options: Any) -> Any: ...

_PathLike: TypeAlias = str | os.PathLike[str]
_ImageLike: TypeAlias = _PathLike | bytes | PIL.Image.Image | numpy.ndarray[Any, Any] | Image
_Item: TypeAlias = _ImageLike | Text
_TensorLike: TypeAlias = torch.Tensor | numpy.ndarray[Any, Any] | _Dlpack
_Device: TypeAlias = str | torch.device
_Pool: TypeAlias = Literal["cls", "mean"]
_Progress: TypeAlias = Callable[[int, int], object]

__version__: str
built_with_cuda: bool

def missing_for_cuda() -> str: ...

class Image:
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def warnings(self) -> list[str]: ...
    def numpy(self) -> numpy.ndarray[Any, numpy.dtype[numpy.uint8]]: ...
    @property
    def __array_interface__(self) -> dict[str, Any]: ...

class Failure:
    @property
    def file(self) -> str: ...
    @property
    def error(self) -> str: ...

def read_image(
    path: _PathLike, *, apply_orientation: bool = False, max_pixels: int = 178956970
) -> Image: ...
@overload
def read_images(
    paths: Iterable[_PathLike],
    *,
    on_error: Literal["raise"] = "raise",
    apply_orientation: bool = False,
    max_pixels: int = 178956970,
) -> list[Image]: ...
@overload
def read_images(
    paths: Iterable[_PathLike],
    *,
    on_error: Literal["skip"],
    apply_orientation: bool = False,
    max_pixels: int = 178956970,
) -> tuple[list[Image], list[Failure]]: ...
def resize(
    image: _ImageLike,
    size: tuple[int, int],
    resample: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bicubic",
) -> Image: ...
def center_crop(image: _ImageLike, size: tuple[int, int]) -> Image: ...

class Tokenizer:
    @staticmethod
    def load(path: _PathLike) -> Tokenizer: ...
    @property
    def vocab_size(self) -> int: ...
    def encode(self, text: str | bytes, add_special_tokens: bool = True) -> list[int]: ...
    def encode_batch(
        self, texts: Iterable[str | bytes], add_special_tokens: bool = True
    ) -> list[list[int]]: ...
    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str: ...
    def token(self, id: int) -> str | None: ...
    def token_id(self, token: str) -> int | None: ...

class Encoder:
    @staticmethod
    def load(
        path_or_name: _PathLike,
        *,
        device: _Device = "cpu",
        dtype: str = "float32",
        executor: Literal["fused", "aten"] = "fused",
        batch_invariant: bool = False,
    ) -> Encoder: ...
    @property
    def name(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def family(self) -> str: ...
    @property
    def executor(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def image_size(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def has_text(self) -> bool: ...
    @property
    def facts(self) -> dict[str, str]: ...
    def preprocess(self, images: _ImageLike | Sequence[_ImageLike]) -> torch.Tensor: ...
    def embed_images(
        self,
        images: _ImageLike | Sequence[_ImageLike],
        *,
        batch_size: int | None = None,
        normalize: bool = True,
        layer: int | None = None,
        pool: _Pool | None = None,
        progress: _Progress | None = None,
    ) -> torch.Tensor: ...
    def embed_files(
        self,
        files: Iterable[_PathLike],
        *,
        batch_size: int | None = None,
        normalize: bool = True,
        layer: int | None = None,
        pool: _Pool | None = None,
        apply_orientation: bool = False,
        progress: _Progress | None = None,
    ) -> tuple[torch.Tensor, list[int], list[tuple[str, str]]]: ...
    def embed_pixels(
        self,
        pixels: _TensorLike,
        *,
        batch_size: int | None = None,
        normalize: bool = True,
        layer: int | None = None,
        pool: _Pool | None = None,
        progress: _Progress | None = None,
    ) -> torch.Tensor: ...
    def patch_tokens(
        self, images: _ImageLike | Sequence[_ImageLike] | torch.Tensor, *, layer: int | None = None
    ) -> torch.Tensor: ...
    def tokenize(self, texts: str | Sequence[str]) -> torch.Tensor: ...
    def embed_texts(
        self,
        texts: str | Sequence[str],
        *,
        batch_size: int | None = None,
        normalize: bool = True,
        progress: _Progress | None = None,
    ) -> torch.Tensor: ...
    def embed_tokens(
        self,
        ids: _TensorLike,
        *,
        batch_size: int | None = None,
        normalize: bool = True,
        progress: _Progress | None = None,
    ) -> torch.Tensor: ...

class Text:
    def __init__(self, text: str) -> None: ...
    @property
    def text(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

class Ranking:
    @property
    def order(self) -> list[int]: ...
    @property
    def scores(self) -> list[float]: ...
    @property
    def tied(self) -> bool: ...

class Metric:
    @property
    def name(self) -> str: ...
    @property
    def higher_is_better(self) -> bool: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a sequence too; one picture is meant
        self, x: _Item, y: _Item, *, progress: _Progress | None = None
    ) -> float: ...
    @overload
    def __call__(
        self, x: Sequence[_Item], y: Sequence[_Item], *, progress: _Progress | None = None
    ) -> torch.Tensor: ...
    def rank(
        self, reference: _Item, candidates: Sequence[_Item], *, progress: _Progress | None = None
    ) -> list[int]: ...
    def ranking(
        self, reference: _Item, candidates: Sequence[_Item], *, progress: _Progress | None = None
    ) -> Ranking: ...
    def odd_one_out(self, images: Sequence[_Item]) -> int: ...
    def attribute(
        self,
        images: _ImageLike | Sequence[_ImageLike],
        attribute: Literal["brightness", "colorfulness", "contrast", "quality", "sharpness"],
        *,
        mode: Literal["naive", "clip-iqa"] = "naive",
    ) -> list[float]: ...

def metric(
    name: str,
    *,
    device: _Device = "cpu",
    dtype: str = "float32",
    layer: int | None = None,
    pool: _Pool | None = None,
) -> Metric: ...
def metric_names() -> list[str]: ...
def by_cosine(encoder: Encoder, *, layer: int | None = None, pool: _Pool | None = None) -> Metric: ...
def cosine(a: _TensorLike, b: _TensorLike) -> torch.Tensor: ...
def cosine_rows(a: _TensorLike, b: _TensorLike) -> torch.Tensor: ...

class BlindPair:
    @property
    def i(self) -> int: ...
    @property
    def j(self) -> int: ...
    @property
    def alike(self) -> float: ...
    @property
    def apart(self) -> float: ...
    def __eq__(self, other: object, /) -> bool: ...

class BlindPairs:
    @property
    def i(self) -> torch.Tensor: ...
    @property
    def j(self) -> torch.Tensor: ...
    @property
    def alike(self) -> torch.Tensor: ...
    @property
    def apart(self) -> torch.Tensor: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> BlindPair: ...
    def __iter__(self) -> Iterator[BlindPair]: ...

def mine_blind_pairs(
    alike: _TensorLike,
    apart: _TensorLike,
    alike_above: float = 0.95,
    apart_below: float = 0.6,
    progress: _Progress | None = None,
) -> BlindPairs: ...
def additive_mof(a: _TensorLike, b: _TensorLike, alpha: float) -> torch.Tensor: ...
def interleaved_mof(a: _TensorLike, b: _TensorLike) -> torch.Tensor: ...
