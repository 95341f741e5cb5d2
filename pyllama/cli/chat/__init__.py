"""The chat of ``pyllama run``: a conversation, the commands that change it, and the terminal."""
