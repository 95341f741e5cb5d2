"""What the chat page speaks: an event stream of its own, sessions, models, uploads, Markdown."""
