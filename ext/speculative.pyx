"""Drafts for speculative decoding: llama-common's lookups of n-grams in what was said before."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from pyllama._ext.bridge cimport (
    pyl_drafter,
    pyl_drafter_accept,
    pyl_drafter_begin,
    pyl_drafter_draft,
    pyl_drafter_end,
    pyl_drafter_free,
    pyl_drafter_new,
)
from pyllama._ext.check cimport fail
from pyllama._ext.llama cimport llama_token
from pyllama._ext.options cimport Options


cdef class NgramLookup:
    cdef pyl_drafter * ptr
    cdef readonly int n_lanes

    def __cinit__(self, Options options not None, int n_lanes):
        self.n_lanes = n_lanes
        with nogil:
            self.ptr = pyl_drafter_new(options.ptr, n_lanes)
        if self.ptr is NULL:
            fail("common_speculative_init")

    def __dealloc__(self):
        pyl_drafter_free(self.ptr)

    def begin(self, int lane, list prompt not None):
        cdef size_t n = len(prompt)
        cdef llama_token * ids = _copy(prompt)
        cdef bint is_done
        with nogil:
            is_done = pyl_drafter_begin(self.ptr, lane, ids, n)
        free(ids)
        if not is_done:
            fail("common_speculative_begin")

    def draft(self, int lane, list tokens not None, int n_max):
        if n_max < 0:
            raise ValueError(f"n_max must not be negative, it is {n_max}")
        cdef size_t n = len(tokens)
        cdef int32_t n_drafted = -1
        cdef llama_token * ids = _copy(tokens)
        cdef llama_token * draft = <llama_token *> malloc((n_max + 1) * sizeof(llama_token))
        try:
            if draft is NULL:
                raise MemoryError()
            with nogil:
                n_drafted = pyl_drafter_draft(self.ptr, lane, ids, n, n_max, draft)
            if n_drafted < 0:
                fail("common_speculative_draft")
            return tuple([draft[i] for i in range(n_drafted)])
        finally:
            free(ids)
            free(draft)

    def accept(self, int lane, int n_accepted):
        if not 0 <= n_accepted <= 0xFFFF:
            raise ValueError(f"{n_accepted} tokens were accepted")
        if not pyl_drafter_accept(self.ptr, lane, n_accepted):
            fail("common_speculative_accept")

    def end(self, int lane):
        if not pyl_drafter_end(self.ptr, lane):
            fail("pyl_drafter_end")


cdef llama_token * _copy(list tokens) except NULL:
    # The caller frees it.
    cdef size_t n = len(tokens)
    cdef llama_token * ids = <llama_token *> malloc((n + 1) * sizeof(llama_token))
    if ids is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            ids[i] = tokens[i]
    except BaseException:
        free(ids)
        raise
    return ids
