"""A real gunicorn over the fake model."""

from __future__ import annotations

import json
from typing import Any

from tests.support import serving

CONFIG = serving.ROOT / "tests" / "wsgi" / "gunicorn_fake.py"


class Server(serving.Server):
    """gunicorn over a fake model that the keywords describe."""

    def __init__(self, **fake: Any) -> None:
        port = serving.free_port()
        environ = {"FAKE": json.dumps({**fake, "port": port})}
        super().__init__("-c", str(CONFIG), "wsgi:app", environ=environ, port=port)
