"""The cache of what requests have in common is bounded, in number and in size."""

from __future__ import annotations

import itertools

from pyllama.text.lru import LruCache


def test_what_was_used_last_is_kept() -> None:
    """The value that nobody asked for longest goes first."""
    cache: LruCache[int] = LruCache(2)
    made = itertools.count()
    for key in "aab":
        cache.get(key, lambda: next(made))
    assert cache.get("a", lambda: next(made)) == 0
    cache.get("c", lambda: next(made))
    assert len(cache) == 2
    assert cache.get("a", lambda: next(made)) == 0
    assert cache.get("b", lambda: next(made)) == 3


def test_large_keys_are_few() -> None:
    """However many values may be kept, those of large requests go once their keys are too long."""
    cache: LruCache[str] = LruCache(100, max_key_chars=1000)
    for letter in "abcdefgh":
        cache.get(letter * 300, lambda: "large")
    assert len(cache) == 3
    assert cache.get("x" * 2000, lambda: "too large") == "too large"
    assert len(cache) == 0
    for number in range(50):
        cache.get(str(number), lambda: "small")
    assert len(cache) == 50


def test_value_that_two_threads_made_counts_once() -> None:
    """A key that was made meanwhile takes no room twice."""
    cache: LruCache[str] = LruCache(100, max_key_chars=10)

    def make() -> str:
        cache.get("abcdef", lambda: "inner")
        return "outer"

    assert cache.get("abcdef", make) == "outer"
    cache.get("wxyz", lambda: "other")
    assert len(cache) == 2
