# The one place where a result of C becomes a Python exception.

from pyllama._ext.bridge cimport pyl_free, pyl_last_error


cdef inline int fail(str where) except -1:
    """Raise the bridge's last error of this thread."""
    # An import at the top of a .pxd does nothing: the name would be missing in who cimports this.
    from pyllama.errors import NativeError
    from pyllama._ext.interrupt import take_interrupt
    reason = pyl_last_error().decode("utf-8", "replace")
    interrupt = take_interrupt()
    if interrupt is not None and reason == "interrupted":
        raise interrupt
    raise NativeError(where, reason)


cdef inline str take_text(char * text, str where):
    """Turn a string of the bridge into a str and free it; NULL raises."""
    if text is NULL:
        fail(where)
    try:
        return text.decode("utf-8", "replace")
    finally:
        pyl_free(text)
