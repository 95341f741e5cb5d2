"""The command: ``python -m bench decode``, ``python -m bench logits``."""

from __future__ import annotations

import argparse
import json
import logging

from bench import decode, logits


def main() -> None:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (decode, logits):
        name = module.__name__.rsplit(".", 1)[-1]
        command = commands.add_parser(name, help=(module.__doc__ or "").splitlines()[0])
        module.add_arguments(command)
        command.set_defaults(module=module)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    record = args.module.measure(args)
    if args.json:
        print(json.dumps(record, indent=2))
    else:
        print(args.module.table(record))


if __name__ == "__main__":
    main()
