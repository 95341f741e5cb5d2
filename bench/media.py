"""Pictures, through an encoder of random weights: pyllama's server against llama-server.

The part `equal` asks both servers about the same pictures and compares their greedy answers, and
beside that each server with itself at another size of micro-batches: what sizes of batches alone
change is no defect of either. The part `mixed` streams answers about pictures and answers to text
at the same time, and shows who waits for whom.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench import compare, media_equal, media_mixed, media_models, random_projector, record

_PARTS = {"equal": media_equal, "mixed": media_mixed}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    compare.add_server_arguments(parser, f", or {media_models.TINY_QWEN}")
    parser.add_argument(
        "--parts",
        type=compare.names_of(_PARTS),
        default=list(_PARTS),
        help=f"some of {','.join(_PARTS)} (default: all)",
    )
    parser.add_argument(
        "--projector",
        choices=random_projector.SHAPES,
        default="small",
        help="how large the encoder is (default: small)",
    )
    parser.add_argument(
        "--prompts", type=int, default=20, help="prompts whose answers are compared (default: 20)"
    )
    parser.add_argument(
        "--tokens", type=int, default=32, help="tokens of each answer (default: 32)"
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run the parts; return the record."""
    with tempfile.TemporaryDirectory() as folder:
        files = media_models.prepare(args.model, args.projector, Path(folder))
        own = {name: getattr(args, name) for name in ("parts", "projector", "prompts", "tokens")}
        return {
            "workload": "pictures, pyllama against llama-server",
            **record.context(files.model, **compare.server_settings(args), **own),
            **{name: _PARTS[name].measure(files, args) for name in args.parts},
        }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    return "\n\n".join(part.table(data) for name, part in _PARTS.items() if name in data)
