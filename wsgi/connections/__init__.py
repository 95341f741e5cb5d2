"""Connections: what reads requests without a thread, and bounds what a client can hold."""
