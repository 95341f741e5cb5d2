"""The chat page that browsers get at ``/``: static files, and how they are served."""
