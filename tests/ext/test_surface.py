"""What the .pxd files declare is what the C headers have."""

from __future__ import annotations

import pytest

from ci.llama_surface import DECLARATIONS, HEADERS, compare, declared, main

HEADER = """
#define DEMO_NONE -1 // no token
enum demo_kind {
    DEMO_KIND_A = 0, // the first
    DEMO_KIND_B,
};
struct demo_batch { int32_t n; float * rows; };
typedef bool (*demo_callback)(void * data);
/* int demo_old(int a); */
DEMO_API const char * demo_name(const struct demo * d,
                                int32_t         index);
DEMO_API void demo_run(struct demo * d, bool is_fast, size_t * n);
DEMO_API void demo_init(void);
DEMO_API enum demo_kind demo_kind(const struct demo * d);
"""
PXD = """
cdef extern from "demo.h" nogil:
    struct demo:
        pass
    int DEMO_NONE
    enum demo_kind_t "demo_kind":
        DEMO_KIND_A
        DEMO_KIND_B
    ctypedef struct demo_batch:
        int32_t n
        float * rows
    ctypedef bint (*demo_callback)(void * data) noexcept
    const char * demo_name(const demo * d, int32_t index)
    void demo_run(
        demo * d, bint is_fast, size_t * n)
    void demo_init()
    demo_kind_t get_demo_kind "demo_kind"(const demo * d)
"""


def test_declarations_agree_with_the_headers(capsys: pytest.CaptureFixture[str]) -> None:
    """All functions, struct members and constants that ext/ declares are so in the headers."""
    assert main() == 0, capsys.readouterr().out


def test_all_that_is_declared_is_compared() -> None:
    """Each header is compared, and a function for each opening bracket of the .pxd files."""
    texts = [path.read_text("utf-8") for path in DECLARATIONS]
    blocks = [block for text in texts for block in declared(text)]
    assert {block.header for block in blocks} - {"stdbool.h"} == set(HEADERS)
    # A type of function pointers has two brackets.
    n_functions = sum(text.count("(") - text.count("(*") for text in texts)
    assert sum(len(block.functions) for block in blocks) == n_functions > 90


def test_the_same_is_the_same() -> None:
    """Spelling, layout, comments and other names in Cython make no difference."""
    assert compare(PXD, {"demo.h": HEADER}) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("int32_t         index", "int64_t index", "demo_name"),
        ("int32_t         index", "int32_t index, int flags", "demo_name"),
        ("const char * demo_name", "char demo_name", "demo_name"),
        ("bool is_fast, ", "", "demo_run"),
        ("size_t * n", "size_t n", "demo_run"),
        ("demo_run", "demo_run_v2", "demo_run"),
        ("demo_init(void)", "demo_init(int flags)", "demo_init"),
        ("DEMO_KIND_B,", "", "demo_kind.DEMO_KIND_B"),
        ("enum demo_kind {", "enum demo_kinds {", "demo_kind.DEMO_KIND_A"),
        ("int32_t n;", "int64_t n;", "demo_batch.n"),
        ("float * rows;", "", "demo_batch.rows"),
        ("(void * data)", "(void * data, int more)", "demo_callback"),
        ("#define DEMO_NONE -1", "", "DEMO_NONE"),
    ],
)
def test_a_planted_difference_is_found(old: str, new: str, name: str) -> None:
    """Whatever changes in the header is named, with both sides."""
    assert old in HEADER
    lines = compare(PXD, {"demo.h": HEADER.replace(old, new, 1)})
    assert any(line.startswith(f"demo.h: {name} is ") for line in lines), lines


def test_a_planted_difference_in_the_declarations_is_found() -> None:
    """The same holds for the .pxd's side, on the real headers."""
    headers = {name: path.read_text("utf-8") for name, path in HEADERS.items()}
    text = DECLARATIONS[0].read_text("utf-8")
    changed = text.replace("int32_t llama_model_n_embd(", "int64_t llama_model_n_embd(")
    assert changed != text
    (line,) = compare(changed, headers)
    assert "llama_model_n_embd is int32_t (llama_model *), declared as int64_t" in line
