"""Runs berry without torch: many conversations at once, one token each per step, on onnxruntime.

What always holds:

- Every step has the same shapes: `SLOTS` slots, one token each, a ring of `window` places. A slot that has nothing to
  do computes along and is ignored. So no trace depends on its neighbours: not a bit of it.
- Prompt tokens are forced tokens: they take the same path as generated ones, at the same place of the ring, so a
  conversation that was evicted and is read again gives exactly what it would have given.
- The cache of a conversation stays in its slot between turns. A request that extends it continues there; any other
  request reads its conversation from the start, in the slot that has been idle longest. A slot that has just become
  idle is left alone for a few steps, in which its conversation may go on: else, where more conversations wait than
  there are slots (rollouts of a search), each would lose its cache at every turn, and be read again from the start.

One request is a `Job`; `Batcher` owns the session, the slots and the only thread that touches them. Serving this way
is continuous batching (Orca, Yu et al. 2022) over a sliding-window ring cache (Mistral 7B, Jiang et al. 2023).
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import eq
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openstrawberry.berry.shape import GRAPH, Shape
from openstrawberry.chat import TOP_LOGPROBS

__all__ = ["GRAPH", "SLOTS", "Batcher", "Job", "Network"]

SLOTS = 64
GRACE = 16  # steps for which an idle slot waits for the next turn of its conversation ...
PAUSE = 0.05  # ... and seconds, where no slot is at work
Floats = NDArray[np.float32]


@dataclass(eq=False)
class Job:
    """One reply to be written: the prompt, how to sample, and whom to tell. Written to by the worker thread only."""

    prompt: Sequence[int]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int | None
    stops: frozenset[int]
    on_token: Callable[[int], bool]  # told of each token; True ends the reply
    on_end: Callable[["Job"], None]
    logprobs: list[float] | None = None  # where wanted: of each token, among the likeliest at its place
    tokens: list[int] = field(default_factory=list)
    cached: int = 0  # prompt tokens that were already in the ring
    finish_reason: str = "unknown"
    error: Exception | None = None
    cancelled: bool = False

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._drawn: list[float] = []

    def uniform(self) -> float:
        """The next number of this request's own stream; drawn in blocks, since a draw alone is slow."""
        if not self._drawn:
            self._drawn = self._random.random(64).tolist()[::-1]
        return self._drawn.pop()


class Slot:
    """One lane of the batch: the tokens whose keys and values its ring holds, and the job it works on, if any."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.history: list[int] = []
        self.job: Job | None = None
        self.used = 0  # step at which its last job ended; the smallest is evicted first: its conversation likely ended

    def next_token(self) -> int:
        """The token to be fed now: of the prompt first, then what was sampled."""
        assert self.job is not None
        at = len(self.history)
        prompt = self.job.prompt
        return prompt[at] if at < len(prompt) else self.job.tokens[at - len(prompt)]

    @property
    def samples(self) -> bool:
        """Whether the token fed now is followed by one that must be sampled."""
        assert self.job is not None
        return len(self.history) + 1 >= len(self.job.prompt)


class Network:
    """The step graph and its state: the ring caches and the mask that says which places of them are visible."""

    def __init__(self, folder: Path, slots: int = SLOTS) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session: Any = ort.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        self.shape = s = Shape.read(folder)
        self.keys: Floats = np.zeros((s.layers, slots, s.groups, s.head, s.window), np.float32)
        self.values: Floats = np.zeros((s.layers, slots, s.groups, s.window, s.head), np.float32)
        self.mask: Floats = np.full((slots, s.window), -np.inf, np.float32)
        half = np.arange(0, s.head, 2, dtype=np.float32) / np.float32(s.head)
        self._frequencies: Floats = np.tile(1 / np.float32(s.theta) ** half, 2)  # float32, as transformers has them
        self._feed: dict[str, Any] = {"mask": self.mask}
        for layer in range(s.layers):
            self._feed[f"keys_{layer}"] = self.keys[layer]
            self._feed[f"values_{layer}"] = self.values[layer]

    def forget(self, slot: int) -> None:
        self.mask[slot] = -np.inf

    def step(self, ids: NDArray[np.int64], positions: NDArray[np.int64], live: NDArray[np.int64]) -> Floats:
        """Feed one token to every slot, ids and positions [B]; remember it for the slots in `live`; logits [B, V]."""
        place = positions[live] % self.shape.window
        self.mask[live, place] = -np.inf  # what stands there has just left the window
        angle = positions.astype(np.float32)[:, None] * self._frequencies
        feed = {**self._feed, "ids": ids, "cos": np.cos(angle), "sin": np.sin(angle)}
        logits, keys, values = self.session.run(["logits", "new_keys", "new_values"], feed)
        self.keys[:, live, :, :, place] = keys[:, live].swapaxes(0, 1)
        self.values[:, live, :, place, :] = values[:, live].swapaxes(0, 1)
        self.mask[live, place] = 0.0
        return logits  # type: ignore[no-any-return]


class Batcher:
    """Takes jobs from any thread and works on as many as there are slots."""

    def __init__(self, network: Network, never: Sequence[int] = ()) -> None:
        self.network = network
        self.slots = [Slot(i) for i in range(len(network.mask))]
        self._never = list(never)
        self._waiting: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._clock = 0
        self._thread = threading.Thread(target=self._run, name="berry", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job. Where no work is done any more it ends at once, with an error."""
        with self._wake:
            if not self._closed:
                self._waiting.append(job)
                self._wake.notify()
                return
        job.error = RuntimeError("it was closed")
        job.on_end(job)

    def close(self) -> None:
        """Stop after the running step; jobs that are not finished end with an error."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._admit():
                self._step()
            self._fail(RuntimeError("it was closed"))
        except Exception as error:  # the thread's boundary: whoever waits must hear of it
            with self._wake:
                self._closed = True
            self._fail(error)

    def _admit(self) -> bool:
        """Wait for work and give it to idle slots; False once the batcher is closed."""
        with self._wake:
            self._drop_cancelled()
            self._place(patient=True)
            while not self._closed and all(slot.job is None for slot in self.slots):
                heard = self._wake.wait(PAUSE if self._waiting else None)
                self._place(patient=heard)
            return not self._closed

    def _place(self, patient: bool) -> None:
        """Whoever goes on with a cached conversation comes first; the others take the slots idle for longest."""
        idle = sorted((slot for slot in self.slots if slot.job is None), key=lambda slot: slot.used)
        cold: deque[Job] = deque()
        for job in self._waiting:
            slot = _continues(idle, job)
            if slot is None:
                cold.append(job)
            else:
                idle.remove(slot)
                self._give(slot, job)
        if patient:
            idle = [slot for slot in idle if not slot.history or self._clock - slot.used >= GRACE]
        for slot in idle[: len(cold)]:
            slot.history = []
            self.network.forget(slot.index)
            self._give(slot, cold.popleft())
        self._waiting = cold

    def _drop_cancelled(self) -> None:
        for slot in self.slots:
            if slot.job is not None and slot.job.cancelled:
                slot.job = None
        if any(job.cancelled for job in self._waiting):
            self._waiting = deque(job for job in self._waiting if not job.cancelled)

    def _give(self, slot: Slot, job: Job) -> None:
        slot.job = job
        job.cached = len(slot.history)

    def _step(self) -> None:
        """One token for every busy slot."""
        busy = [slot for slot in self.slots if slot.job is not None]
        if not busy:
            return
        ids = np.zeros(len(self.slots), np.int64)
        positions = np.zeros(len(self.slots), np.int64)
        for slot in busy:
            ids[slot.index] = slot.next_token()
            positions[slot.index] = len(slot.history)
        self._clock += 1
        logits = self.network.step(ids, positions, np.array([slot.index for slot in busy]))
        sampling = [slot for slot in busy if slot.samples]
        for slot in busy:
            slot.history.append(int(ids[slot.index]))
        if sampling:
            chosen = self._sample(logits, sampling)
            for slot in sampling:
                self._take(slot, int(chosen[slot.index]))

    def _take(self, slot: Slot, token: int) -> None:
        job = slot.job
        assert job is not None
        job.tokens.append(token)
        if token in job.stops or job.on_token(token):
            job.finish_reason = "stop"
        elif len(job.tokens) >= job.max_tokens:
            job.finish_reason = "length"
        else:
            return
        slot.job = None
        slot.used = self._clock
        job.on_end(job)

    def _sample(self, logits: Floats, slots: Sequence[Slot]) -> NDArray[np.int64]:
        """One token per slot by inverting the cumulative distribution; temperature 0 takes the likeliest.

        All rows are computed whatever the number of samples, so that a row's rounding never depends on the others.
        """
        scores = logits.astype(np.float64)
        scores[:, self._never] = -np.inf
        temperature = np.ones((len(self.slots), 1))
        uniform = np.zeros((len(self.slots), 1))
        for slot in slots:
            assert slot.job is not None
            temperature[slot.index] = slot.job.temperature
            uniform[slot.index] = slot.job.uniform()
        greedy = scores.argmax(axis=1)
        scores -= scores.max(axis=1, keepdims=True)
        weights = np.exp(scores / np.maximum(temperature, 1e-6))
        for slot in slots:
            if slot.job is not None and slot.job.top_p < 1.0:
                weights[slot.index] = _nucleus(weights[slot.index], slot.job.top_p)
        total = weights.cumsum(axis=1)
        drawn = (total <= uniform * total[:, -1:]).sum(axis=1)
        chosen: NDArray[np.int64] = np.where(temperature[:, 0] > 0, np.minimum(drawn, logits.shape[1] - 1), greedy)
        for slot in slots:
            if slot.job is not None and slot.job.logprobs is not None:
                slot.job.logprobs.append(_among_likeliest(scores[slot.index], int(chosen[slot.index])))
        return chosen

    def _fail(self, error: Exception) -> None:
        with self._wake:
            jobs = [slot.job for slot in self.slots if slot.job is not None] + list(self._waiting)
            self._waiting.clear()
        for job in jobs:
            job.error = error
            job.on_end(job)


def _continues(slots: Sequence[Slot], job: Job) -> Slot | None:
    """The idle slot whose conversation the job's prompt extends, if there is one."""
    for slot in slots:
        known = len(slot.history)
        # The last token first: conversations of one problem begin alike, and end differently.
        may = 0 < known < len(job.prompt) and job.prompt[known - 1] == slot.history[-1]
        if may and all(map(eq, job.prompt, slot.history)):
            return slot
    return None


def _among_likeliest(scores: NDArray[np.float64], chosen: int) -> float:
    """See `Reply.logprobs`; as providers tell it, of the model itself and not of what temperature and nucleus make."""
    rivals = np.union1d(np.argsort(-scores, kind="stable")[:TOP_LOGPROBS], [chosen])
    return round(float(scores[chosen] - np.log(np.exp(scores[rivals]).sum())), 4)


def _nucleus(weights: NDArray[np.float64], top_p: float) -> NDArray[np.float64]:
    """Keep the likeliest tokens that together reach `top_p`, the last of them included (Holtzman et al. 2020)."""
    order = np.argsort(-weights, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    keep = order[: int(np.searchsorted(reached, top_p)) + 1]
    return np.where(np.isin(np.arange(len(weights)), keep), weights, 0.0)
