"""Pictures, sound and video in prompts: from what a client sends to what a text model sees.

Runs in the caller's thread. What is broken is refused here, before native code sees it.
"""

from pyllama.media.attachments import Attachments, MediaReader
from pyllama.media.content import MARK
from pyllama.media.fetch import Fetcher
from pyllama.media.kinds import FORMATS, Family, FileKind, family_of, kind_of
from pyllama.media.limits import MediaLimits

__all__ = [
    "FORMATS",
    "MARK",
    "Attachments",
    "Family",
    "Fetcher",
    "FileKind",
    "MediaLimits",
    "MediaReader",
    "family_of",
    "kind_of",
]
