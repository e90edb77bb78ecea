"""Encoders against the libraries that define them, on random weights of every family."""

import pytest
import torch

import unisim
from encoder_folders import FOLDERS

UNIT = 1e-5  # rows of length one, largest difference
RAW = 1e-4  # raw rows and tokens, largest difference over largest value


def relative(ours, theirs):
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


class Case:
    def __init__(self, name, folder):
        self.name = name
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.reference = FOLDERS[name](folder)
        self.encoder = unisim.Encoder.load(folder)
        self.folder = folder

    def pixels(self, count=2):
        return torch.randn(count, 3, *self.reference.size, generator=torch.Generator().manual_seed(5))

    def ids(self, count=3):
        r = self.reference
        ids = torch.randint(3, r.end, (count, r.context), generator=torch.Generator().manual_seed(6))
        ids[:, 0] = r.vocabulary - 3
        for row, end in zip(ids, (r.context - 1, 4, 7)):
            row[end] = r.end
            row[end + 1 :] = 1
        return ids


@pytest.fixture(scope="module", params=FOLDERS)
def case(request, tmp_path_factory):
    with torch.no_grad():
        yield Case(request.param, tmp_path_factory.mktemp(request.param))


def test_rows_of_images_are_those_of_the_library(case):
    if case.reference.images is None:
        with pytest.raises(ValueError, match="no image tower"):
            case.encoder.embed_pixels(torch.zeros(1, 3, 8, 8))
        return
    pixels = case.pixels()
    theirs = case.reference.images(pixels)
    assert relative(case.encoder.embed_pixels(pixels, normalize=False), theirs) <= RAW
    unit = torch.nn.functional.normalize(theirs, dim=-1)
    assert (case.encoder.embed_pixels(pixels) - unit).abs().max() <= UNIT
    assert case.encoder.dim == theirs.shape[1]
    assert case.encoder.image_size == case.reference.size[0]


def test_rows_of_texts_are_those_of_the_library(case):
    if case.reference.texts is None:
        assert not case.encoder.has_text
        with pytest.raises(ValueError, match="no text tower"):
            case.encoder.embed_tokens(torch.zeros(1, 4, dtype=torch.int64))
        return
    ids = case.ids()
    theirs = case.reference.texts(ids)
    assert case.encoder.has_text
    assert relative(case.encoder.embed_tokens(ids, normalize=False), theirs) <= RAW
    unit = torch.nn.functional.normalize(theirs, dim=-1)
    assert (case.encoder.embed_tokens(ids.to(torch.int32)) - unit).abs().max() <= UNIT


def test_every_hidden_state_and_the_last_patches_are_those_of_the_library(case):
    r = case.reference
    if r.images is None:
        return
    pixels = case.pixels()
    states = r.hidden_states(pixels)
    assert case.encoder.layers == len(states) - 1
    for k, state in enumerate(states):
        assert relative(case.encoder.patch_tokens(pixels, layer=k), state[:, r.prefix :]) <= RAW
    last = r.norm(states[-1])[:, r.prefix :]
    assert relative(case.encoder.patch_tokens(pixels), last) <= RAW
    mean = r.norm(states[1])[:, r.prefix :].mean(1)
    assert relative(case.encoder.embed_pixels(pixels, layer=1, pool="mean", normalize=False), mean) <= RAW


def test_every_parameter_moves_the_output(case):
    """Else a part that we compute wrongly could hide: each, put to zero, must show beyond the tolerance."""
    r = case.reference
    pixels = case.pixels(1) if r.images else None
    ids = case.ids(1) if r.texts else None
    run = lambda: [f(x) for f, x in ((r.images, pixels), (r.texts, ids)) if f]
    before = run()
    for name, p in r.model.named_parameters():
        # A bias of keys shifts all scores of a query alike, which softmax does not see.
        if any(part in name for part in (*r.unused, "k_proj.bias", "k_norm.bias")):
            continue
        kept = p.clone()
        p.zero_()
        after = run()
        p.copy_(kept)
        assert max(relative(a, b) for a, b in zip(after, before)) > 10 * RAW, name
