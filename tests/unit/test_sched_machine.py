"""The scheduler against a model of llama.cpp's memory, driven at random."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyllama.errors import NativeError
from pyllama.sched import (
    Event,
    Limits,
    PromptScored,
    Request,
    Scheduler,
    Sequence,
    Started,
    Status,
    StepStatus,
    TokenSampled,
    Verified,
    placement,
    ram_tier,
)
from tests.support import builders, strategies
from tests.support.fake_drafter import FakeDrafter
from tests.support.fake_runner import FakeRunner, continuation, state_size

MAX_STEPS = 2000


class SchedulerMachine(RuleBasedStateMachine):
    """Adds, aborts and steps; every promise of the scheduler is checked on the way.

    The runner checks what a batch must be. The invariants check the ledger and the order, the end
    checks that each request got the answer that it would have got alone.
    """

    # Prompts here are shorter than what is worth waiting for.
    waits_for_prefixes = False

    max_ram_bytes = st.just(0)
    # Decoding token by token.
    has_drafts = False

    @initialize(data=st.data(), limits=strategies.contexts(), draft_seed=st.integers(0, 999))
    def make(self, data: Any, limits: Limits, draft_seed: int) -> None:
        """Begin with an empty context."""
        self.limits = limits
        self.runner = FakeRunner(limits)
        self.drafter = FakeDrafter(draft_seed)
        max_ram_bytes = data.draw(self.max_ram_bytes)
        drafts = self.has_drafts and limits.can_trim
        self.scheduler = Scheduler(
            limits, max_ram_bytes=max_ram_bytes, drafter=self.drafter if drafts else None
        )
        self.now_s = 0.0
        self.sequences: list[Sequence] = []
        self.answers: dict[Sequence, list[int]] = {}
        self.scores: dict[Sequence, list[int]] = {}
        self.ends: dict[Sequence, str] = {}
        self.started: list[Sequence] = []
        # Whether a step in which nothing else ran was refused: that ends a sequence early.
        self.was_refused = False

    @rule(
        prompt=strategies.prompts,
        max_tokens=st.integers(1, 12),
        cache_prompt=st.booleans(),
    )
    def add(self, prompt: tuple[int, ...], max_tokens: int, *, cache_prompt: bool) -> None:
        """A client asks."""
        self._add(builders.request(prompt, max_tokens, cache_prompt=cache_prompt))

    @rule(prompt=strategies.prompts, max_tokens=st.integers(0, 6))
    def score(self, prompt: tuple[int, ...], max_tokens: int) -> None:
        """A client wants to know how likely its prompt is."""
        self._add(builders.request(prompt, max_tokens, cache_prompt=False, prompt_logprobs=0))

    @rule(parts=strategies.pictured, max_tokens=st.integers(1, 6), cache_prompt=st.booleans())
    def look(
        self, parts: tuple[tuple[int, ...], ...], max_tokens: int, *, cache_prompt: bool
    ) -> None:
        """A client asks of pictures."""
        # A picture is always worth waiting for.
        is_cached = cache_prompt and self.waits_for_prefixes
        self._add(builders.pictured(parts, max_tokens, cache_prompt=is_cached))

    def _add(self, request: Request) -> None:
        sequence = self.scheduler.add(request)
        self.sequences.append(sequence)
        self.answers[sequence] = []

    @rule(data=st.data())
    def abort(self, data: Any) -> None:
        """A client leaves; whether its request still lives plays no part."""
        if self.sequences:
            sequence = data.draw(st.sampled_from(self.sequences))
            self.scheduler.abort(sequence, self.now_s)
            assert sequence.status is Status.FINISHED
            self.ends.setdefault(sequence, "abort")

    @rule(status=strategies.statuses, n_computed=st.integers(0, 70))
    def step(self, status: StepStatus, n_computed: int) -> None:
        """One turn of the engine; a broken step has computed any part of its batch."""
        self.runner.answers = [status]
        self.runner.n_computed = n_computed
        self._turn()

    @rule(n_computed=st.integers(0, 70))
    def fail(self, n_computed: int) -> None:
        """A turn in which llama.cpp refuses the batch for good."""
        self.runner.answers = [NativeError("llama_decode", -1)]
        self.runner.n_computed = n_computed
        self._turn()

    @rule()
    def flush(self) -> None:
        """A look at the memory between two steps finds what the ledger says."""
        plan = self.scheduler.flush()
        result = self.runner.run(plan)
        for event in self.scheduler.update(plan, result, self.now_s):
            self._take(event)
        self.scheduler.check_integrity(self.runner.cells())
        for slot in self.scheduler.pool.slots:
            assert self.runner.memory.tokens(slot.id) == slot.tokens

    def _turn(self) -> None:
        plan = self.scheduler.schedule(self.now_s)
        self.now_s += 0.01
        # Whoever has work gets some: no step passes idle.
        assert plan.chunks or not self.scheduler.running
        assert plan.chunks or plan.operations or not self.scheduler.has_work
        try:
            result = self.runner.run(plan)
        except NativeError:
            for sequence in self.scheduler.fail(plan, self.now_s):
                self.ends[sequence] = "fail"
            return
        is_refusal = result.status is StepStatus.NO_KV_CELLS
        self.was_refused = self.was_refused or is_refusal
        for event in self.scheduler.update(plan, result, self.now_s):
            self._take(event)

    def _take(self, event: Event) -> None:
        sequence = event.sequence
        assert sequence not in self.ends, "an event after the end"
        if isinstance(event, Started):
            assert 0 <= event.n_cached <= sequence.n_prompt
            if sequence not in self.started:
                self.started.append(sequence)
        elif isinstance(event, PromptScored):
            assert sequence not in self.scores, "scored twice"
            assert not self.answers[sequence]
            self.scores[sequence] = [score.token for score in event.logprobs]
            places = [score.logprob for score in event.logprobs]
            assert places == [-1.0 - index for index in range(len(places))]
        elif isinstance(event, TokenSampled):
            assert sequence in self.started
            assert sequence in self.scores or sequence.request.prompt_logprobs is None
            self.answers[sequence].append(event.token)
        elif isinstance(event, Verified):
            assert 0 <= event.n_accepted <= event.n_drafted
        else:
            self.ends[sequence] = event.reason
            assert sequence.status is Status.FINISHED

    @invariant()
    def order_is_kept(self) -> None:
        """Who runs came before who waits, and each of them in the order of arrival."""
        if not hasattr(self, "scheduler"):
            return
        line = [*self.scheduler.running, *self.scheduler.waiting]
        if not self.waits_for_prefixes:
            numbers = [self.sequences.index(sequence) for sequence in line]
            assert numbers == sorted(numbers)
        assert set(line) == {sequence for sequence in self.sequences if sequence not in self.ends}

    @invariant()
    def slots_and_sequences_agree(self) -> None:
        """A slot holds the tokens of its sequence; no sequence has two, no idle slot has one."""
        if not hasattr(self, "scheduler"):
            return
        busy = [slot for slot in self.scheduler.pool.slots if not slot.is_idle]
        assert {slot.sequence for slot in busy} == set(self.scheduler.running)
        for sequence in self.scheduler.running:
            assert sequence.status is Status.RUNNING
            assert sequence.slot is not None
            assert sequence.slot.tokens == sequence.tokens[: sequence.n_past]
        for sequence in self.scheduler.waiting:
            assert sequence.status is Status.WAITING
            assert sequence.slot is None
            assert sequence.n_past == 0
        assert self.scheduler.pool.n_cells_free >= 0

    def teardown(self) -> None:
        """Left alone with a healthy model, every request ends, with the answer that it is due."""
        if not hasattr(self, "scheduler"):
            return
        self.runner.answers = []
        n_steps = 0
        while self.scheduler.has_work:
            self._turn()
            n_steps += 1
            assert n_steps < MAX_STEPS, "no end"
        self.flush()
        assert set(self.ends) == set(self.sequences)
        assert not self.drafter.n_right, "a sequence that was never let go of"
        if not self.waits_for_prefixes:
            assert self.started == sorted(self.started, key=self.sequences.index)
        for sequence, end in self.ends.items():
            self._check_answer(sequence, end)

    def _check_answer(self, sequence: Sequence, end: str) -> None:
        request = sequence.request
        alone = continuation(request.tokens, request.max_tokens, self.limits)
        answer = self.answers[sequence]
        assert answer == alone[: len(answer)]
        if request.prompt_logprobs is None:
            assert sequence not in self.scores
        elif end == "stop" or sequence in self.scores:
            assert self.scores[sequence] == list(request.tokens[1:])
        n_total = len(request.tokens) + len(alone)
        is_full = len(alone) == request.max_tokens or n_total == self.limits.n_ctx_seq
        if end == "stop":
            assert answer == alone
            assert not is_full
        elif end == "length" and not self.was_refused:
            assert answer == alone
            assert is_full


class PatchedMachine(SchedulerMachine):
    """The same with other constants."""

    constants: dict[tuple[Any, str], int]

    @initialize()
    def set_constants(self) -> None:
        """Make few tokens worth what otherwise takes many."""
        self.patch = pytest.MonkeyPatch()
        for (module, name), value in self.constants.items():
            self.patch.setattr(module, name, value)

    def teardown(self) -> None:
        """Check the end as ever, then put the constants back."""
        try:
            super().teardown()
        finally:
            if hasattr(self, "patch"):
                self.patch.undo()


WAITING = {(placement, "_MIN_WAIT_GAIN"): 4, (placement, "_COPY_COST"): 1}
SAVING = {(ram_tier, "MIN_SAVE"): 4, (ram_tier, "_LOAD_COST"): 1}


class WaitingMachine(PatchedMachine):
    """The same with prompts that are worth waiting for: a later one may then start earlier."""

    waits_for_prefixes = True
    constants = WAITING


class TierMachine(PatchedMachine):
    """The same with a RAM tier: evicted prefixes come back, and each move may fail."""

    max_ram_bytes = st.sampled_from([100, 300, 1000, None])
    constants = SAVING

    @rule(saves=strategies.fates, loads=strategies.fates, move_s=strategies.durations_s)
    def change_moves(self, saves: list[bool], loads: list[bool], move_s: float) -> None:
        """The next saves and loads work or not, and are quick or slow."""
        self.runner.save_answers = saves
        self.runner.load_answers = loads
        self.runner.move_s = move_s

    @rule(prompts=st.lists(strategies.long_prompts, min_size=1, max_size=3))
    def ask(self, prompts: list[tuple[int, ...]]) -> None:
        """Clients ask together, and wait for the end: slots change their text often."""
        for prompt in prompts:
            self.add(prompt, 3, cache_prompt=True)
        self.runner.answers = []
        for _ in range(MAX_STEPS):
            if not self.scheduler.has_work:
                return
            self._turn()
        raise AssertionError("no end")

    def flush(self) -> None:
        """Then the tier's ledger is what the memory holds too, to the byte and within the limit."""
        super().flush()
        if self.scheduler.pool.has_operations:
            super().flush()
        tier = self.scheduler.tier
        states = self.runner.memory.states
        assert {entry.id: entry.tokens for entry in tier.entries} == states
        assert tier.n_bytes == sum(map(state_size, states.values()))
        assert tier.max_bytes is None or tier.n_bytes <= tier.max_bytes

    @invariant()
    def entries_are_counted(self) -> None:
        """The sizes of the entries add up."""
        if hasattr(self, "scheduler"):
            tier = self.scheduler.tier
            assert tier.n_bytes == sum(entry.n_bytes for entry in tier.entries)


class WaitingTierMachine(TierMachine):
    """Both at once."""

    waits_for_prefixes = True
    constants = WAITING | SAVING


class DraftingMachine(SchedulerMachine):
    """The same with guesses, right and wrong ones: every answer stays what it was."""

    has_drafts = True


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWaiting = WaitingMachine.TestCase
TestWaiting.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTier = TierMachine.TestCase
TestTier.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWaitingTier = WaitingTierMachine.TestCase
TestWaitingTier.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDrafting = DraftingMachine.TestCase
TestDrafting.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
