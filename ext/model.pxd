from pyllama._ext.llama cimport llama_model
from pyllama._ext.options cimport Options


cdef class Model:
    cdef llama_model * ptr
    cdef Options options
    cdef int _process
    cdef readonly str path
