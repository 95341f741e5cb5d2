"""Settings that fit the machine: what is tried, how it is measured, where the result is kept.

``pyllama.tune.store`` is read whenever a model is loaded, so nothing is imported here.
"""
