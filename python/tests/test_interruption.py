"""Ctrl-C, and any signal whose handler raises, ends a long call from within."""

import signal
import time

import numpy as np
import pytest
from image_files import picture, saved

import unisim


class Stop(BaseException):
    """What a signal's handler raises."""


@pytest.fixture
def alarm():
    """alarm(seconds): a signal comes then, and raises Stop where Python looks at signals."""

    def stop(number, frame):
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_signal_ends_the_reading_of_many_files_between_two_of_them(tmp_path, alarm, as_bytes):
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(picture(np.random.default_rng(3), "RGB", 400, 300), "JPEG"))

    def read(times):
        """How long it takes to read so many."""
        start = time.perf_counter()
        if as_bytes:
            # Which is seen once they are read.
            with pytest.raises(ValueError, match="lists differ in length"):
                unisim.metric("psnr")([path.read_bytes()] * times, [path])
        else:
            unisim.read_images([path] * times, on_error="skip")
        return time.perf_counter() - start

    read(20)
    some = read(20)
    alarm(some)
    start = time.perf_counter()
    with pytest.raises(Stop):
        read(800)
    assert time.perf_counter() - start < 20 * some


def test_ctrl_c_while_pillow_reads_is_no_failure_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    path.write_bytes(saved(picture(np.random.default_rng(3), "RGB", 4, 3), "GIF"))

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("unisim._pillow.read_rgb", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unisim.read_images([path], on_error="skip")
