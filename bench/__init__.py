"""Side-by-side measurements against llama.cpp's own programs, built from the same source tree.

Every figure is a ratio of two programs that ran in turns on the same machine in the same minutes.
"""
