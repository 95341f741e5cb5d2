"""Paths that are known before a request reaches its route."""

HEALTH = ("/health", "/v1/health")
METRICS = ("/metrics",)
PROBES = frozenset((*HEALTH, *METRICS))
"""Answered from state that is at hand, on threads that nothing else takes."""

UPLOAD = "/api/upload"
"""Whose body may be a large file."""
