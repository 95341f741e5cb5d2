"""Pure policy: which tokens of which sequences the next batch carries.

No model, no threads, no clock: time comes in as an argument. Imported by the engine only.
"""

from pyllama.sched.drafter import Drafter, NoDrafter
from pyllama.sched.events import (
    Event,
    Finished,
    PromptScored,
    Started,
    TokenSampled,
    Verified,
)
from pyllama.sched.limits import Limits
from pyllama.sched.media import MediaSpan
from pyllama.sched.packer import Lot, Packer, Piece
from pyllama.sched.plan import (
    BatchPlan,
    CellOp,
    Chunk,
    CopyCells,
    DropState,
    LoadState,
    RemoveCells,
    SaveState,
    StateMove,
    StepResult,
    StepStatus,
)
from pyllama.sched.request import Request
from pyllama.sched.scheduler import Scheduler
from pyllama.sched.sequence import Sequence, Status

__all__ = [
    "BatchPlan",
    "CellOp",
    "Chunk",
    "CopyCells",
    "Drafter",
    "DropState",
    "Event",
    "Finished",
    "Limits",
    "LoadState",
    "Lot",
    "MediaSpan",
    "NoDrafter",
    "Packer",
    "Piece",
    "PromptScored",
    "RemoveCells",
    "Request",
    "SaveState",
    "Scheduler",
    "Sequence",
    "Started",
    "StateMove",
    "Status",
    "StepResult",
    "StepStatus",
    "TokenSampled",
    "Verified",
]
