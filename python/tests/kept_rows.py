"""What the tests of the store put into it: for each number a key and a row that no other has."""

import hashlib

import numpy as np

MODEL = hashlib.sha256(b"a model").hexdigest()


def content(k):
    return hashlib.sha256(b"content %d" % k).hexdigest()


def row(k, width=24):
    return (np.arange(width) % 251 + k * 0.125).astype(np.float32)
