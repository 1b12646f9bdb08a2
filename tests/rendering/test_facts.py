"""The bytes that a renderer sends facts in: whatever they are, they become bounded, printable facts, or an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plotindex.rendering.facts import (
    FLAGS,
    FORMATS,
    HASH_BYTES,
    MAX_FACTS_BYTES,
    MAX_TEXT_BYTES,
    UNKNOWN,
    Facts,
    clean,
    hash_distance,
    limit_metadata,
    limit_texts,
)

TEXTS = st.text(max_size=80)
NUMBERS = st.none() | st.integers(0, 2**31 - 1)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    title, text = limit_texts(draw(TEXTS), draw(st.lists(TEXTS)))
    return Facts(
        draw(st.sampled_from(("", *FORMATS))),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(st.integers(0, 2**31 - 1)),
        draw(st.none() | st.floats(0.1, 1e6)),
        title,
        text,
        limit_metadata(draw(st.dictionaries(TEXTS, TEXTS)).items()),
        draw(st.just(b"") | st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES)),
        frozenset(draw(st.sets(st.sampled_from(FLAGS)))),
    )


def assert_bounded(found: Facts) -> None:
    assert found.format in ("", *FORMATS)
    for number in (found.width, found.height, found.frames):
        assert number is None or 0 <= number < 2**31
    assert found.dpi is None or 0 < found.dpi <= 1e6
    assert set(found.flags) <= set(FLAGS)
    assert len(found.picture_hash) in (0, HASH_BYTES)
    for texts in ([found.title, *found.text], [*found.metadata, *found.metadata.values()]):
        assert sum(len(text.encode()) for text in texts) <= MAX_TEXT_BYTES
        assert all(text.isprintable() for text in texts)
        assert all(text == " ".join(text.split()) for text in texts)


@given(facts())
def test_facts_are_read_as_they_were_written(written: Facts) -> None:
    assert_bounded(written)
    assert len(written.to_bytes()) <= MAX_FACTS_BYTES
    assert Facts.parse(written.to_bytes()) == written


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        Facts.parse(content)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(FLAGS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)


@given(facts(), st.dictionaries(st.sampled_from(Facts._fields), JSON, max_size=3))
def test_facts_of_which_some_are_anything_are_bounded_or_an_error(valid: Facts, lies: dict[str, Any]) -> None:
    values = {**json.loads(valid.to_bytes()), **lies}
    try:
        found = Facts.parse(json.dumps(values).encode("utf-8", "surrogatepass"))
    except ValueError:
        return
    assert_bounded(found)


@pytest.mark.parametrize(
    "lies",
    [
        {"width": True},
        {"width": 1.5},
        {"frames": -1},
        {"height": 2**31},
        {"dpi": float("nan")},
        {"dpi": 1},
        {"title": "a\nb"},
        {"title": "\u202eb"},
        {"title": "\ud800"},
        {"title": " a"},
        {"text": [""]},
        {"text": "text"},
        {"text": ["é" * 2049]},
        {"metadata": {"name": "v" * 4093}},
        {"metadata": []},
        {"picture_hash": "00"},
        {"picture_hash": "zz" * HASH_BYTES},
        {"flags": ["duplicate"]},
        {"format": "exe"},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_an_error(lies: dict[str, Any]) -> None:
    values = {**json.loads(UNKNOWN.to_bytes()), **lies}
    with pytest.raises(ValueError):
        Facts.parse(json.dumps(values).encode())


def test_nested_and_long_bytes_are_an_error() -> None:
    for content in (b"[" * MAX_FACTS_BYTES, UNKNOWN.to_bytes() + b" " * MAX_FACTS_BYTES, b"9" * 10_000):
        with pytest.raises(ValueError):
            Facts.parse(content)


def test_text_is_printable_and_in_one_line() -> None:
    assert clean(" a\r\n\tb\0c\u202e d\u2028e \ud800") == "a bc d e"
    assert clean("Energy \N{MINUS SIGN} µ 漢字") == "Energy \N{MINUS SIGN} µ 漢字"
    assert limit_texts("T", ["b", "b", "", "T", "\x1b"]) == ("T", ("b",))
    title, texts = limit_texts("é" * 5000, ["more"])
    assert (len(title.encode()), texts) == (MAX_TEXT_BYTES, ())
    assert limit_metadata([("long", "x" * 9000), ("k", "v"), ("k", "other")])["k"] == "v"


def test_the_distance_of_hashes_counts_bits() -> None:
    assert hash_distance(b"\x00\x00", b"\x00\x07") == 3
    assert hash_distance(b"\xff" * HASH_BYTES, b"\x00" * HASH_BYTES) == 8 * HASH_BYTES
