"""Settings: llama-server's own options and environment, and pyllama's few beside them."""

from pyllama.settings.settings import Settings
from pyllama.settings.sources import (
    from_arguments,
    from_environment,
    from_keywords,
    help_text,
    is_flag,
    n_values,
)

__all__ = [
    "Settings",
    "from_arguments",
    "from_environment",
    "from_keywords",
    "help_text",
    "is_flag",
    "n_values",
]
