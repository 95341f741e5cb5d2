"""Read by ``gunicorn wsgi:app`` in this folder; elsewhere add ``-c python:wsgi.gunicorn_conf``."""

from wsgi.gunicorn_conf import *  # noqa: F403 - gunicorn reads its settings off this module
