"""Seeded: the same numbers on every machine."""

from collections import Counter

import pytest

from unisim.seeded import Seeded

NIGHTS = [0xE52B9E11A7A12E7B, 0x78960240DD9A9AFF, 0x84593FC9867FB1D0]
GAMMA, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def stream(state):
    """A generator at a known state."""
    random = Seeded()
    random._state = state
    return random


def before(bits):
    """A generator whose next number is this one: SplitMix64's mixing, undone."""
    z = bits
    z = undo_xor_shift(z, 31) * pow(0x94D049BB133111EB, -1, 1 << 64) & MASK
    z = undo_xor_shift(z, 27) * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & MASK
    return stream((undo_xor_shift(z, 30) - GAMMA) & MASK)


def undo_xor_shift(z, by):
    found = z
    for _ in range(64 // by + 1):
        found = z ^ (found >> by)
    return found


def test_from_state_0_these_are_the_numbers_of_splitmix64():
    random = Seeded()
    assert [random.bits() for _ in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_first_numbers_of_a_named_stream_are_these():
    random = Seeded("nights", 0)
    assert [random.bits() for _ in range(3)] == NIGHTS
    assert [Seeded("nights", 0).below(n) for n in (1, 2, 10, 1000)] == [
        0,
        NIGHTS[0] % 2,
        NIGHTS[0] % 10,
        NIGHTS[0] % 1000,
    ]


def test_every_seed_has_a_stream_of_its_own():
    first = {
        Seeded(*seed).bits()
        for seed in [
            ("a",),
            ("b",),
            ("a", 0),
            ("a", 1),
            ("a", 10),
            ("a1", 0),
            (0, "a"),
            ("",),
            ("", ""),
            ("a", ""),
            ("é",),
        ]
    }
    assert len(first) == 11
    assert Seeded("a", 1).bits() == Seeded("a", "1").bits()


def test_a_number_that_would_make_the_lowest_ones_likelier_is_drawn_again():
    """2 ** 64 is 1 more than a multiple of 3: of all numbers one must go, or 0 would come once too often."""
    assert before(0).bits() == 0
    again = before(0)
    again.bits()
    assert before(0).below(3) == again.below(3)  # 0 was passed over
    assert before(1).below(3) == 1 and before(3).below(3) == 0 and before(MASK).below(3) == 0
    # A power of two divides 2 ** 64: nothing goes.
    assert before(0).below(8) == 0 and before(MASK).below(8) == 7


def test_below_more_than_half_of_all_numbers():
    n = (1 << 63) + 1
    assert (1 << 64) % n == n - 2
    assert before(n - 2).below(n) == n - 2 and before(n - 1).below(n) == n - 1 and before(n).below(n) == 0
    passed = before(n - 3)
    passed.bits()
    assert before(n - 3).below(n) == passed.below(n)


def test_below_is_even():
    random = Seeded("even", 0)
    counts = Counter(random.below(7) for _ in range(70_000))
    assert sorted(counts) == list(range(7))
    assert all(abs(count - 10_000) < 450 for count in counts.values())  # 4.9 deviations of 92.6


def test_below_one_is_zero_and_below_zero_is_refused():
    assert Seeded(1).below(1) == 0
    for n in (0, -1):
        with pytest.raises(ValueError, match=r"\[seeded\].*at least 1"):
            Seeded(1).below(n)


def test_shuffled_and_sampled_hold_what_was_given():
    given = list(range(20))
    assert sorted(Seeded(1).shuffled(given)) == given == list(range(20))
    assert sorted(Seeded(1).sample(given, 20)) == given
    assert len(set(Seeded(1).sample(given, 7))) == 7
    assert Seeded(1).sample(given, 0) == [] == Seeded(1).shuffled([])
    with pytest.raises(ValueError, match="21 of 20"):
        Seeded(1).sample(given, 21)


def test_each_order_of_three_is_as_likely():
    random = Seeded("orders", 0)
    counts = Counter(tuple(random.shuffled("abc")) for _ in range(6000))
    pairs = Counter(tuple(random.sample("abc", 2)) for _ in range(6000))
    assert len(counts) == len(pairs) == 6
    assert all(
        abs(count - 1000) < 140 for count in [*counts.values(), *pairs.values()]
    )  # 4.8 deviations of 28.9


def test_the_seeded_numbers_never_change():
    published = Seeded(0)
    published._state = 0
    assert published.bits() == 0xE220A8397B1DCDAF  # SplitMix64 from 0, as every implementation has it
    random = Seeded("nights", 0)
    assert [random.below(1000) for _ in range(6)] == [459, 175, 856, 468, 267, 136]
    assert sorted(Seeded(1).shuffled(range(20))) == list(range(20))
    assert len(set(Seeded(2).sample(range(50), 50))) == 50
    counts = [0] * 3
    for _ in range(30_000):
        counts[random.below(3)] += 1
    assert max(counts) - min(counts) < 600  # five deviations of a fair count
    normal = Seeded("n").normal(100_000)
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    with pytest.raises(ValueError, match="at least 1"):
        random.below(0)
    with pytest.raises(ValueError, match="asks for 3 of 2"):
        random.sample([1, 2], 3)
