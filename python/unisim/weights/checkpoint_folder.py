"""The weights of a folder as a model's authors publish it, safetensors or pickles, one file or shards: looked at as one
set of tensors, read one at a time.

A pickle is read in a child process that admits tensors alone (torch_checkpoint), shard by shard, into a safetensors file
beside the folder that is being made.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisim.weights import torch_checkpoint
from unisim.weights.json_keys import read_object

# In the order in which transformers looks for them.
SINGLE = {"model.safetensors": "safetensors", "pytorch_model.bin": "pickle"}
PICKLES = (".bin", ".pt", ".pth", ".tar")


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies: a safetensors file."""

    file: Path
    shape: tuple[int, ...]
    dtype: str  # as safetensors writes it: "BF16"


@dataclass(eq=False)
class Checkpoint:
    """Tensors by name, of the folder or file `source`, which messages name."""

    source: Path
    tensors: dict[str, Stored] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)  # where a name here is not the file's
    _open: dict[Path, Any] = field(default_factory=dict, repr=False)

    def add(self, file: Path, said_of: Path) -> None:
        """The tensors of a safetensors file; ValueError, which names `said_of`, if it is none or repeats a tensor."""
        import safetensors

        try:
            opened: Any = safetensors.safe_open(file, framework="pt")  # its methods have no types
            names = opened.keys()
            for name in names:
                if name in self.tensors:
                    raise ValueError(f"[convert] {said_of}: tensor {name} is in two files")
                piece = opened.get_slice(name)
                self.tensors[name] = Stored(file, tuple(piece.get_shape()), piece.get_dtype())
        except (safetensors.SafetensorError, TypeError) as error:
            raise ValueError(f"[convert] {said_of}: {error}") from error
        self._open[file] = opened

    def take(self, name: str, rows: tuple[int, int] | None) -> Any:
        """A torch tensor, whole or some of its rows."""
        opened = self._open[self.tensors[name].file]
        name = self.aliases.get(name, name)
        return opened.get_tensor(name) if rows is None else opened.get_slice(name)[rows[0] : rows[1]]

    def starting(self, prefix: str) -> list[str]:
        return [name for name in self.tensors if name.startswith(prefix)]


def _shards(index: Path) -> dict[str, set[str]]:
    """Shard to the tensors that the index says it has; plain names of files beside the index."""
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ValueError(f"[convert] {index}: weight_map is {places!r:.60}, expected tensors and their files")
    shards: dict[str, set[str]] = {}
    for tensor, name in places.items():
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise ValueError(f"[convert] {index}: a shard is named {name!r}, expected a file beside it")
        shards.setdefault(name, set()).add(tensor)
    return shards


def _add(checkpoint: Checkpoint, file: Path, room: Path) -> None:
    """A file of either kind."""
    if file.suffix == ".safetensors":
        checkpoint.add(file, file)
        return
    read = room / f"read-{len(list(room.glob('read-*'))):05}.safetensors"
    torch_checkpoint.read(file, read, as_stored=True)
    checkpoint.add(read, file)


def open_folder(folder: Path, room: Path) -> Checkpoint:
    """The weights of a folder. Pickles become files in `room`, which must stay as long as the checkpoint is used.

    Raises
    ------
    ValueError
        If there are no weights, a file is damaged or holds more than tensors, or an index does not fit its files.
    OSError
        If a file cannot be read.
    """
    checkpoint = Checkpoint(folder)
    for name in SINGLE:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            _add(checkpoint, folder / name, room)
            return checkpoint
        if index.is_file():
            for shard, tensors in sorted(_shards(index).items()):
                _add(checkpoint, folder / shard, room)
                if lacking := sorted(tensors - checkpoint.tensors.keys()):
                    raise ValueError(
                        f"[convert] {folder / shard}: tensor {lacking[0]} is not here, where {index.name} has it"
                    )
            return checkpoint
    expected = ", ".join(f"{name} or its index" for name in SINGLE)
    raise ValueError(f"[convert] {folder}: no weights here, expected {expected}")


def open_files(files: list[Path], room: Path) -> Checkpoint:
    """Files of either kind as one set of tensors."""
    checkpoint = Checkpoint(files[0])
    for file in files:
        if file.suffix not in (".safetensors", *PICKLES):
            raise ValueError(f"[convert] {file}: expected a file named .safetensors or {', '.join(PICKLES)}")
        _add(checkpoint, file, room)
    return checkpoint
