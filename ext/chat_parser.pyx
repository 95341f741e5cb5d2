"""The parser of a model's answers, by llama-common. Immutable, so any thread may use it."""

import json

from pyllama._ext.bridge cimport (
    pyl_chat_parser,
    pyl_chat_parser_delimiters,
    pyl_chat_parser_free,
    pyl_chat_parser_new,
    pyl_chat_parser_parse,
)
from pyllama._ext.check cimport fail, take_text


cdef class ChatParser:
    cdef pyl_chat_parser * ptr
    cdef readonly tuple delimiters

    def __cinit__(self, str params not None):
        data = params.encode("utf-8", "replace")
        self.ptr = pyl_chat_parser_new(data)
        if self.ptr is NULL:
            fail("common_peg_arena::load")
        found = take_text(pyl_chat_parser_delimiters(self.ptr), "common_peg_arena::get")
        self.delimiters = tuple(sorted(set(json.loads(found))))

    def __dealloc__(self):
        pyl_chat_parser_free(self.ptr)

    def parse(self, str text not None):
        data = text.encode("utf-8", "replace")
        cdef const char * c_text = data
        cdef size_t n_bytes = len(data)
        cdef char * message
        with nogil:
            message = pyl_chat_parser_parse(self.ptr, c_text, n_bytes)
        return json.loads(take_text(message, "common_peg_arena::parse"))
