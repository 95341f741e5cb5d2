"""A model's chat template, rendered by llama-common. Any thread may use it."""

import json

from pyllama._ext.bridge cimport (
    pyl_chat,
    pyl_chat_apply,
    pyl_chat_caps,
    pyl_chat_free,
    pyl_chat_generic_tools,
    pyl_chat_new,
    pyl_chat_source,
    pyl_content_grammar,
    pyl_schema_grammar,
)
from pyllama._ext.check cimport fail, take_text
from pyllama._ext.model cimport Model


cdef class ChatTemplate:
    cdef pyl_chat * ptr
    cdef Model model

    def __cinit__(self, Model model not None, str template=None, *, bint use_jinja=True):
        self.model = model
        source = None if template is None else template.encode("utf-8", "replace")
        cdef const char * c_source = NULL
        if source is not None:
            c_source = source
        self.ptr = pyl_chat_new(model.ptr, c_source, use_jinja)
        if self.ptr is NULL:
            fail("common_chat_templates_init")

    def __dealloc__(self):
        pyl_chat_free(self.ptr)

    def apply(self, str request not None):
        data = request.encode("utf-8", "replace")
        cdef const char * c_request = data
        cdef char * answer
        with nogil:
            answer = pyl_chat_apply(self.ptr, c_request)
        return json.loads(take_text(answer, "common_chat_templates_apply"))

    @property
    def source(self):
        return take_text(pyl_chat_source(self.ptr), "common_chat_templates_source")

    @property
    def caps(self):
        return json.loads(take_text(pyl_chat_caps(self.ptr), "common_chat_templates_get_caps"))


def generic_tools(str request not None):
    return json.loads(_transformed(pyl_chat_generic_tools, request, "build_chat_peg_parser"))


def content_grammar(str parser not None):
    return _transformed(pyl_content_grammar, parser, "common_peg_arena::build_grammar")


def schema_grammar(str schema not None):
    return _transformed(pyl_schema_grammar, schema, "json_schema_to_grammar")


cdef str _transformed(char * (*function)(const char *) noexcept nogil, str text, str name):
    """Pass a text through a function of the bridge; its name is for the error."""
    data = text.encode("utf-8", "replace")
    cdef const char * c_text = data
    cdef char * answer
    with nogil:
        answer = function(c_text)
    return take_text(answer, name)
