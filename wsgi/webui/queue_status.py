"""``GET /api/queue/status``: whether requests wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import falcon

    from ..host import Host


class QueueStatus:
    """What runs, what waits and what has ended."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer from state that is at hand; never waits for the engine."""
        llm = self._host.get()
        status = llm.status()
        resp.media = {
            "busy": status.n_busy > 0,
            "pending_requests": status.n_waiting,
            "total_processed": sum(llm.metrics().finished.values()),
            "running_requests": status.n_busy,
            "slots": status.n_slots,
        }

    on_head = on_get
