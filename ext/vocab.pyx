"""A model's vocabulary: text to tokens and back. Read-only, so any thread may use it."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from pyllama._ext.bridge cimport pyl_tokenize
from pyllama._ext.check cimport fail
from pyllama._ext.llama cimport (
    LLAMA_VOCAB_TYPE_NONE,
    LLAMA_TOKEN_NULL,
    llama_detokenize,
    llama_model_get_vocab,
    llama_token,
    llama_token_to_piece,
    llama_vocab,
    llama_vocab_bos,
    llama_vocab_eos,
    llama_vocab_eot,
    llama_vocab_fim_mid,
    llama_vocab_fim_pre,
    llama_vocab_fim_suf,
    llama_vocab_get_add_bos,
    llama_vocab_get_add_eos,
    llama_vocab_is_control,
    llama_vocab_is_eog,
    llama_vocab_n_tokens,
    llama_vocab_type,
)
from pyllama._ext.model cimport Model

from pyllama.errors import ModelLoadError, NativeError


cdef class Vocab:
    cdef Model model
    cdef const llama_vocab * ptr
    cdef readonly int n_tokens

    def __cinit__(self, Model model not None):
        self.model = model
        self.ptr = llama_model_get_vocab(model.ptr)
        self.n_tokens = llama_vocab_n_tokens(self.ptr)
        # llama.cpp ends the process when such a vocabulary is asked for anything.
        if llama_vocab_type(self.ptr) == LLAMA_VOCAB_TYPE_NONE:
            raise ModelLoadError(model.path, "the model has no vocabulary.")

    def tokenize(self, str text not None, *, bint add_special=False, bint parse_special=False):
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > 2**30:
            raise OverflowError("text is longer than 1 GiB")
        # A token covers at least one byte; the margin is for BOS, EOS and a space prefix.
        n, tokens = self._tokenize(data, len(data) + 16, add_special, parse_special)
        if n < 0:
            # Not so where a vocabulary normalises: then the second call has the room it asks for.
            n, tokens = self._tokenize(data, -n, add_special, parse_special)
        if n < 0:
            raise NativeError("llama_tokenize", n)
        return tokens

    cdef tuple _tokenize(self, bytes data, int32_t n_max, bint add_special, bint parse_special):
        cdef const char * text = data
        cdef int32_t n_bytes = <int32_t> len(data)
        cdef int32_t n = 0
        cdef bint is_done
        cdef llama_token * tokens = <llama_token *> malloc(n_max * sizeof(llama_token))
        if tokens is NULL:
            raise MemoryError()
        try:
            with nogil:
                is_done = pyl_tokenize(
                    self.ptr, text, n_bytes, tokens, n_max, add_special, parse_special, &n)
            if not is_done:
                fail("llama_tokenize")
            return n, [tokens[i] for i in range(n)]
        finally:
            free(tokens)

    def piece(self, llama_token token, *, bint special=False):
        cdef const llama_vocab * vocab = self.ptr
        self._check(token)
        cdef char buf[128]
        cdef int32_t n = llama_token_to_piece(vocab, token, buf, sizeof(buf), 0, special)
        if n >= 0:
            return buf[:n]
        text = bytearray(-n)
        cdef char * large = text
        n = llama_token_to_piece(vocab, token, large, <int32_t> len(text), 0, special)
        return bytes(text[:n])

    def pieces(self, *, bint special=False):
        return [self.piece(token, special=special) for token in range(self.n_tokens)]

    def detokenize(self, tokens, *, bint special=False):
        cdef int32_t n_tokens = <int32_t> len(tokens)
        cdef llama_token * ids = <llama_token *> malloc((n_tokens + 1) * sizeof(llama_token))
        if ids is NULL:
            raise MemoryError()
        try:
            for i, token in enumerate(tokens):
                self._check(token)
                ids[i] = token
            text = bytearray(8 * n_tokens + 64)
            while True:
                n = self._detokenize_into(ids, n_tokens, text, special)
                if n >= 0:
                    return bytes(text[:n])
                text = bytearray(-n)
        finally:
            free(ids)

    cdef int32_t _detokenize_into(
            self, llama_token * ids, int32_t n_tokens, bytearray text, bint special) except? -1:
        cdef char * buf = text
        cdef int32_t size = <int32_t> len(text)
        cdef int32_t n
        with nogil:
            n = llama_detokenize(self.ptr, ids, n_tokens, buf, size, False, special)
        return n

    def eog_tokens(self):
        cdef const llama_vocab * vocab = self.ptr
        return frozenset(
            token for token in range(self.n_tokens) if llama_vocab_is_eog(vocab, token))

    def is_control(self, llama_token token):
        self._check(token)
        return bool(llama_vocab_is_control(self.ptr, token))

    @property
    def bos(self):
        return _optional(llama_vocab_bos(self.ptr))

    @property
    def eos(self):
        return _optional(llama_vocab_eos(self.ptr))

    @property
    def eot(self):
        return _optional(llama_vocab_eot(self.ptr))

    @property
    def infill(self):
        cdef llama_token prefix = llama_vocab_fim_pre(self.ptr)
        cdef llama_token suffix = llama_vocab_fim_suf(self.ptr)
        cdef llama_token middle = llama_vocab_fim_mid(self.ptr)
        if LLAMA_TOKEN_NULL in (prefix, suffix, middle):
            return None
        return prefix, suffix, middle

    @property
    def adds_bos(self):
        return bool(llama_vocab_get_add_bos(self.ptr))

    @property
    def adds_eos(self):
        return bool(llama_vocab_get_add_eos(self.ptr))

    cdef int _check(self, llama_token token) except -1:
        # llama.cpp aborts the process on a token id that it does not know.
        if not 0 <= token < self.n_tokens:
            raise ValueError(f"token id {token} is outside of the vocabulary of {self.n_tokens}")
        return 0


cdef object _optional(llama_token token):
    return None if token == LLAMA_TOKEN_NULL else token
