"""A context: KV cells, compute buffers, decode. One thread at a time may use it."""

from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memcpy

from pyllama._ext.batch cimport Batch
from pyllama._ext.bridge cimport (
    pyl_context_new,
    pyl_decode,
    pyl_n_outputs_max,
    pyl_process_id,
    pyl_threads,
    pyl_threads_free,
)
from pyllama._ext.check cimport fail
from pyllama._ext.ggml cimport c_bool
from pyllama._ext.llama cimport (
    llama_batch,
    llama_context,
    llama_free,
    llama_get_causal_attn,
    llama_get_logits_ith,
    llama_max_parallel_sequences,
    llama_model_get_vocab,
    llama_model_has_encoder,
    llama_model_is_hybrid,
    llama_model_is_recurrent,
    llama_n_batch,
    llama_n_ctx,
    llama_n_ctx_seq,
    llama_n_seq_max,
    llama_n_threads,
    llama_n_threads_batch,
    llama_n_ubatch,
    llama_pooling_type,
    llama_set_n_threads,
    llama_vocab_n_tokens,
)
from pyllama._ext.model cimport Model
from pyllama._ext.options cimport Options

from pyllama.errors import NativeError

# What llama_decode returns where nothing is broken.
DECODE_OK = 0
DECODE_NO_KV_CELLS = 1
DECODE_ABORTED = 2


cdef extern from "Python.h":
    # Works up to the end of finalisation, where the warnings module may be gone already.
    int PyErr_ResourceWarning(object source, Py_ssize_t stack_level, const char * format) except -1


cdef c_bool _should_abort(void * data) noexcept nogil:
    # SAFETY: points at Context._abort, which lives as long as the llama_context.
    return (<int *> data)[0] != 0


cdef class Context:

    def __cinit__(
        self, Model model not None, uint32_t n_ctx_default, Options options=None,
        uint32_t n_draft_rows=0, bint embeddings=False,
    ):
        self.model = model
        self._process = pyl_process_id()
        self.options = model.options if options is None else options
        self.options.finish()
        with nogil:
            self.ptr = pyl_context_new(
                self.options.ptr, model.ptr, n_ctx_default, n_draft_rows, embeddings,
                _should_abort, &self._abort, &self._threads)
        if self.ptr is NULL:
            fail("llama_init_from_model")
        self._n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model.ptr))
        self._n_seq_ids = _n_seq_ids(self.ptr, model)
        self._n_draft_rows = n_draft_rows
        self._n_threads_max = llama_n_threads(self.ptr)
        self._n_threads_batch_max = llama_n_threads_batch(self.ptr)
        self._embeds = embeddings

    def __del__(self):
        # Here and not in __dealloc__: the warning may keep a reference to its source.
        if self.is_open:
            PyErr_ResourceWarning(self, 1, "a context was never closed")

    def __dealloc__(self):
        # A forked process has none of the threads that a context may wait for.
        if self.ptr is not NULL and self._process == pyl_process_id():
            llama_free(self.ptr)
        pyl_threads_free(self._threads)

    cdef llama_context * checked(self) except NULL:
        if self.ptr is NULL:
            raise RuntimeError("the context is closed")
        return self.ptr

    cdef int check_seq(self, int seq_id) except -1:
        # An id that llama.cpp does not know ends the process in its memory module.
        if not 0 <= seq_id < self._n_seq_ids:
            raise ValueError(f"sequence id {seq_id} is outside of [0, {self._n_seq_ids})")
        return 0

    def close(self):
        cdef llama_context * ptr = self.ptr
        cdef pyl_threads * threads = self._threads
        self.ptr = NULL
        self._threads = NULL
        if ptr is not NULL and self._process == pyl_process_id():
            with nogil:
                llama_free(ptr)
                pyl_threads_free(threads)

    def decode(self, Batch batch not None):
        cdef llama_context * ctx = self.checked()
        cdef llama_batch raw = batch.raw
        cdef int32_t i
        cdef int32_t status = 0
        cdef uint32_t n_outputs = 0
        cdef int32_t n_seq_max = llama_n_seq_max(ctx)
        cdef bint is_done
        if raw.n_tokens < 1:
            raise ValueError("the batch is empty")
        if raw.n_tokens > <int32_t> llama_n_batch(ctx):
            raise ValueError(f"{raw.n_tokens} tokens in a batch, n_batch is {llama_n_batch(ctx)}")
        # Where tokens look ahead, llama.cpp ends the process at a batch that it had to split.
        if raw.n_tokens > <int32_t> llama_n_ubatch(ctx) and not self.is_causal:
            raise ValueError(f"{raw.n_tokens} tokens at once, n_ubatch is {llama_n_ubatch(ctx)}")
        # llama.cpp checks these too, but what it does about it depends on the build.
        for i in range(raw.n_tokens):
            if not 0 <= raw.token[i] < self._n_vocab:
                raise ValueError(
                    f"token id {raw.token[i]} is outside of the vocabulary of {self._n_vocab}")
            if not 0 <= raw.seq_id[i][0] < n_seq_max:
                raise ValueError(f"sequence id {raw.seq_id[i][0]} is outside of [0, {n_seq_max})")
            n_outputs += raw.logits[i] != 0
        # Past its output buffer llama.cpp ends the process.
        if n_outputs > self.n_outputs_max:
            raise ValueError(f"{n_outputs} rows of logits, n_outputs_max is {self.n_outputs_max}")
        self.n_rows = 0
        # SAFETY: `batch` outlives the call, and its owner changes it on this thread only.
        with nogil:
            is_done = pyl_decode(ctx, &raw, &status)
        if not is_done:
            fail("llama_decode")
        if status < 0:
            raise NativeError("llama_decode", status)
        if status == 0:
            self.n_rows = raw.n_tokens
        return status

    def abort(self):
        # Any thread may set the flag: the compute threads only read it.
        self._abort = 1

    def clear_abort(self):
        self._abort = 0

    def logits(self, int row):
        cdef llama_context * ctx = self.checked()
        # A negative row would count from the end.
        cdef float * logits = NULL if row < 0 else llama_get_logits_ith(ctx, row)
        if logits is NULL:
            raise ValueError(f"batch row {row} asked for no logits")
        data = bytearray(self._n_vocab * sizeof(float))
        cdef char * target = data
        memcpy(target, logits, self._n_vocab * sizeof(float))
        return memoryview(data).cast("f")

    def set_threads(self, int n_threads, int n_threads_batch):
        if n_threads < 1 or n_threads_batch < 1:
            raise ValueError("a context needs at least one thread")
        cdef llama_context * ctx = self.checked()
        # Not by other ones: the backend would pause the former ones, whenever it computes next.
        if n_threads > self._n_threads_max or n_threads_batch > self._n_threads_batch_max:
            raise ValueError(
                f"the context has {self._n_threads_max} and {self._n_threads_batch_max} threads")
        llama_set_n_threads(ctx, n_threads, n_threads_batch)

    @property
    def is_open(self):
        return self.ptr is not NULL and self._process == pyl_process_id()

    @property
    def n_ctx(self):
        return llama_n_ctx(self.checked())

    @property
    def n_ctx_seq(self):
        return llama_n_ctx_seq(self.checked())

    @property
    def n_batch(self):
        return llama_n_batch(self.checked())

    @property
    def n_ubatch(self):
        return llama_n_ubatch(self.checked())

    @property
    def n_seq_max(self):
        return llama_n_seq_max(self.checked())

    @property
    def n_outputs_max(self):
        if self._embeds:
            return llama_n_batch(self.checked())
        cdef uint32_t n_seq_max = llama_n_seq_max(self.checked())
        return pyl_n_outputs_max(self.model.ptr, n_seq_max) + self._n_draft_rows

    @property
    def is_causal(self):
        # An encoder's tokens see each other, whatever the decoder's do.
        if llama_model_has_encoder(self.model.ptr):
            return False
        return bool(llama_get_causal_attn(self.checked()))

    @property
    def pooling(self):
        return <int> llama_pooling_type(self.checked())

    @property
    def n_threads(self):
        return llama_n_threads(self.checked())

    @property
    def n_threads_batch(self):
        return llama_n_threads_batch(self.checked())


cdef int _n_seq_ids(llama_context * ctx, Model model):
    # Streams hold one sequence each; a unified cache knows every id, however many slots there are.
    if llama_n_ctx_seq(ctx) != llama_n_ctx(ctx):
        return llama_n_seq_max(ctx)
    if llama_model_is_recurrent(model.ptr) or llama_model_is_hybrid(model.ptr):
        return llama_n_seq_max(ctx)
    return llama_max_parallel_sequences()
