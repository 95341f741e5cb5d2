"""The tokens that one llama_decode computes."""

from libc.string cimport memset

from pyllama._ext.llama cimport llama_batch, llama_batch_free, llama_batch_init


cdef class Batch:

    def __cinit__(self, int capacity):
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        memset(&self.raw, 0, sizeof(llama_batch))
        self.raw = llama_batch_init(capacity, 0, 1)
        self.raw.n_tokens = 0
        self.capacity = capacity

    def __dealloc__(self):
        llama_batch_free(self.raw)

    def __len__(self):
        return self.raw.n_tokens

    def clear(self):
        self.raw.n_tokens = 0

    def add(
        self, list tokens not None, int start, int count, int seq_id, bint wants_logits,
        int n_skipped=0,
    ):
        cdef int row = self.raw.n_tokens
        cdef int i
        if count < 1 or start < 0 or count > len(tokens) - start:
            raise ValueError(f"tokens [{start}, {start + count}) of {len(tokens)}")
        if not 0 <= n_skipped <= start:
            raise ValueError(f"{n_skipped} positions less than the {start} tokens before")
        if count > self.capacity - row:
            raise ValueError(f"{row + count} tokens in a batch of {self.capacity}")
        for i in range(count):
            self.raw.token[row + i] = tokens[start + i]
            self.raw.pos[row + i] = start - n_skipped + i
            self.raw.n_seq_id[row + i] = 1
            self.raw.seq_id[row + i][0] = seq_id
            self.raw.logits[row + i] = False
        row += count
        self.raw.n_tokens = row
        if wants_logits:
            self.raw.logits[row - 1] = True
        return row - 1

    def add_draft(self, tuple draft not None, int start, int seq_id):
        cdef int row = self.raw.n_tokens
        cdef int count = len(draft)
        cdef int i
        if start < 0 or count > self.capacity - row:
            raise ValueError(f"{count} tokens from position {start} and row {row} on")
        for i in range(count):
            self.raw.token[row + i] = draft[i]
            self.raw.pos[row + i] = start + i
            self.raw.n_seq_id[row + i] = 1
            self.raw.seq_id[row + i][0] = seq_id
            self.raw.logits[row + i] = True
        self.raw.n_tokens = row + count

    def want_logits(self, int row, int count):
        cdef int i
        if row < 0 or count < 0 or count > self.raw.n_tokens - row:
            raise ValueError(f"rows [{row}, {row + count}) of {self.raw.n_tokens}")
        for i in range(row, row + count):
            self.raw.logits[i] = True
