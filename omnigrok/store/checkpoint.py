"""The state of an unfinished Run as bytes, and back: a state that does not fit its Run is none, and
the Run starts over.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from omnigrok.errors import EvidenceError
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.store.encode import decode_state, encode_state
from omnigrok.training.calendar import log_steps
from omnigrok.training.state import State
from omnigrok.training.stopping import end_of


def pack(state: State) -> bytes:
    """One replica's state for the store.

    Raises:
        EvidenceError: it is larger than a store keeps.
    """
    return encode_state(state.arrays())


def unpack(run: Run, step: int, blob: bytes) -> State | None:
    """The inverse of ``pack``.

    Args:
        run: whose state it is.
        step: the step that the store gives for it.
        blob: the bytes.

    Returns:
        None where the bytes are damaged, or the state cannot be one of this Run at this step: a
        store may come from anywhere, and a training that starts over costs less than one that goes
        on from something else.
    """
    try:
        state = State.from_arrays(step, decode_state(blob)[0])
    except (EvidenceError, KeyError, ValueError, TypeError, OverflowError):
        return None
    return state if _fits(run, state) else None


def _fits(run: Run, state: State) -> bool:
    if not 0 < state.step < run.steps or not (
        math.isfinite(state.held) and 0 <= state.seconds < math.inf
    ):
        return False
    if state.logged != [step for step in log_steps(run) if step <= state.step]:
        return False
    if not state.columns or any(
        len(values) != len(state.logged) for values in state.columns.values()
    ):
        return False
    if (
        any(name not in state.columns for name, _ in run.stop_at)
        or end_of(run, state.logged, state.columns) is not None
    ):
        return False
    parameters, carried = _sizes(run.replace(seed=0, alpha=1.0, weight_decay=0.0, lr=1.0))
    moments = (state.weights, state.first, state.second)
    if any(
        vector.shape != (parameters,) or not np.issubdtype(vector.dtype, np.floating)
        for vector in moments
    ):
        return False
    return {name: values.shape for name, values in state.carried.items()} == carried


@lru_cache(maxsize=1024)
def _sizes(run: Run) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Parameters of a network, and the shapes of what it carries from one batch to the next."""
    with torch.random.fork_rng(devices=[]):
        model = find_model(run.model).build(run)
    buffers = dict(model.named_buffers())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return parameters, {name: tuple(buffers[name].shape) for name in getattr(model, "carries", ())}
