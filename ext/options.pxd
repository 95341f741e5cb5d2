from pyllama._ext.bridge cimport pyl_options


cdef class Options:
    cdef pyl_options * ptr
    cdef bint _is_finished
