"""Sampler chains of llama-common, and one call that samples or scores every row of a step."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from pyllama._ext.bridge cimport (
    pyl_logprob,
    pyl_pool,
    pyl_pool_free,
    pyl_pool_new,
    pyl_sample_rows,
    pyl_sample_verify,
    pyl_sampler,
    pyl_sampler_accept_prompt,
    pyl_sampler_clear_reports,
    pyl_sampler_free,
    pyl_sampler_has_given_up,
    pyl_sampler_has_logprobs,
    pyl_sampler_is_greedy,
    pyl_sampler_n_candidates,
    pyl_sampler_n_reports,
    pyl_sampler_new,
    pyl_sampler_report,
    pyl_sampler_seed,
    pyl_score_rows,
)
from pyllama._ext.check cimport fail
from pyllama._ext.context cimport Context
from pyllama._ext.llama cimport (
    LLAMA_TOKEN_NULL,
    llama_context,
    llama_model_get_vocab,
    llama_token,
    llama_vocab_n_tokens,
)
from pyllama._ext.model cimport Model


cdef class Sampler:
    cdef pyl_sampler * ptr
    cdef Model model

    def __cinit__(self, Model model not None, str params not None):
        self.model = model
        data = params.encode()
        cdef const char * c_params = data
        with nogil:
            self.ptr = pyl_sampler_new(model.ptr, c_params)
        if self.ptr is NULL:
            fail("common_sampler_init")

    def __dealloc__(self):
        pyl_sampler_free(self.ptr)

    def accept_prompt(self, list tokens not None):
        cdef size_t n = len(tokens)
        cdef int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(self.model.ptr))
        cdef llama_token * ids = <llama_token *> malloc((n + 1) * sizeof(llama_token))
        cdef bint is_accepted
        if ids is NULL:
            raise MemoryError()
        try:
            for i in range(n):
                ids[i] = tokens[i]
                if not 0 <= ids[i] < n_vocab:
                    raise ValueError(f"token id {ids[i]} is outside of the vocabulary of {n_vocab}")
            with nogil:
                is_accepted = pyl_sampler_accept_prompt(self.ptr, ids, n)
            if not is_accepted:
                fail("common_sampler_accept")
        finally:
            free(ids)

    @property
    def is_greedy(self):
        return bool(pyl_sampler_is_greedy(self.ptr))

    @property
    def n_candidates(self):
        return pyl_sampler_n_candidates(self.ptr)

    @property
    def has_logprobs(self):
        return bool(pyl_sampler_has_logprobs(self.ptr))

    def take_logprobs(self):
        cdef size_t n = 0
        cdef size_t i
        cdef const pyl_logprob * entries
        taken = []
        for i in range(pyl_sampler_n_reports(self.ptr)):
            entries = pyl_sampler_report(self.ptr, i, &n)
            taken.append(_as_tuple(entries, n))
        pyl_sampler_clear_reports(self.ptr)
        return taken

    @property
    def has_given_up(self):
        return bool(pyl_sampler_has_given_up(self.ptr))

    @property
    def seed(self):
        return pyl_sampler_seed(self.ptr)


cdef class WorkerPool:
    cdef pyl_pool * ptr

    def __cinit__(self, int n_threads):
        if n_threads < 1:
            raise ValueError(f"n_threads must be at least 1, not {n_threads}")
        with nogil:
            self.ptr = pyl_pool_new(n_threads)
        if self.ptr is NULL:
            fail("pyl_pool_new")

    def __dealloc__(self):
        # The threads hold no GIL: waiting for them cannot lock up.
        pyl_pool_free(self.ptr)


def sample_rows(
    Context context not None, list samplers not None, list rows not None, WorkerPool pool=None
):
    cdef llama_context * ctx = context.checked()
    cdef size_t n = len(rows)
    if len(samplers) != n:
        raise ValueError(f"{len(samplers)} samplers for {n} rows")
    if n == 0:
        return []
    cdef pyl_sampler ** pointers = <pyl_sampler **> malloc(n * sizeof(pyl_sampler *))
    cdef int32_t * indices = <int32_t *> malloc(n * sizeof(int32_t))
    cdef llama_token * tokens = <llama_token *> malloc(n * sizeof(llama_token))
    cdef pyl_pool * workers = NULL if pool is None else pool.ptr
    cdef bint is_sampled
    try:
        if pointers is NULL or indices is NULL or tokens is NULL:
            raise MemoryError()
        for i in range(n):
            # A checked cast lets None through.
            if samplers[i] is None:
                raise TypeError("None is no sampler")
            pointers[i] = (<Sampler?> samplers[i]).ptr
            indices[i] = rows[i]
        # SAFETY: `samplers` and `pool` are referenced for the length of the call.
        with nogil:
            is_sampled = pyl_sample_rows(ctx, workers, pointers, indices, n, tokens)
        if not is_sampled:
            fail("pyl_sample_rows")
        return [tokens[i] for i in range(n)]
    finally:
        free(pointers)
        free(indices)
        free(tokens)


def sample_verify(
        Context context not None, Sampler sampler not None, int row, tuple draft not None):
    cdef llama_context * ctx = context.checked()
    cdef size_t n = len(draft)
    cdef size_t n_accepted = 0
    cdef llama_token token = 0
    cdef llama_token * ids = <llama_token *> malloc((n + 1) * sizeof(llama_token))
    cdef bint is_sampled
    try:
        if ids is NULL:
            raise MemoryError()
        for i in range(n):
            ids[i] = draft[i]
        with nogil:
            is_sampled = pyl_sample_verify(ctx, sampler.ptr, row, ids, n, &token, &n_accepted)
        if not is_sampled:
            fail("pyl_sample_verify")
        return n_accepted, token
    finally:
        free(ids)


def score_rows(
    Context context not None, list rows not None, list tokens not None, int n_top,
    WorkerPool pool=None,
):
    cdef llama_context * ctx = context.checked()
    cdef size_t n = len(rows)
    if len(tokens) != n:
        raise ValueError(f"{len(tokens)} tokens for {n} rows")
    if n_top < 0:
        raise ValueError(f"n_top must be at least 0, not {n_top}")
    if n == 0:
        return []
    cdef size_t n_fields = 1 + min(n_top, context._n_vocab)
    cdef int32_t * indices = <int32_t *> malloc(n * sizeof(int32_t))
    cdef llama_token * ids = <llama_token *> malloc(n * sizeof(llama_token))
    cdef pyl_logprob * entries = <pyl_logprob *> malloc(n * n_fields * sizeof(pyl_logprob))
    cdef pyl_pool * workers = NULL if pool is None else pool.ptr
    cdef bint is_scored
    try:
        if indices is NULL or ids is NULL or entries is NULL:
            raise MemoryError()
        for i in range(n):
            indices[i] = rows[i]
            ids[i] = tokens[i]
        with nogil:
            is_scored = pyl_score_rows(ctx, workers, indices, ids, n, n_fields - 1, entries)
        if not is_scored:
            fail("pyl_score_rows")
        return [_as_tuple(entries + i * n_fields, n_fields) for i in range(n)]
    finally:
        free(indices)
        free(ids)
        free(entries)


cdef tuple _as_tuple(const pyl_logprob * entries, size_t n):
    """Return (token, logprob, ((token, logprob), ...)); the entries end early at a null token."""
    top = []
    for i in range(1, n):
        if entries[i].token == LLAMA_TOKEN_NULL:
            break
        top.append((entries[i].token, entries[i].logprob))
    return entries[0].token, entries[0].logprob, tuple(top)
