"""A Run is one training run of one network: everything that changes its numbers, and
nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from omnigrok.errors import BadInput

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]
Options = tuple[tuple[str, Value], ...]

LOSSES = ("mse", "cross_entropy", "binary_cross_entropy")
CONSTRAINTS = ("free", "rescale", "rescale_double", "published", "tangent")
LARGEST = sys.float_info.max
# Generators take 64 bits, and tasks multiply the seed by small numbers; steps and sizes are far
# below.
LARGEST_WHOLE = 2**48
# A Run of a stranger's file must not ask for more logged steps than memory holds; the paper's
# longest log has 1,001.
MOST_LOGGED = 1_000_000
PRECISIONS = ("float32", "float64", "tf32")
# Fields that are younger than the oldest records: left out at their default, so that those are
# still found by their digests.
LATER = ("stop_at",)


def freeze(options: Mapping[str, Any]) -> Options:
    """Options as a sorted tuple of pairs, so that a Run can be hashed; lists become tuples.

    Raises:
        BadInput: a value is neither a finite scalar nor a flat list of such.
    """
    frozen = []
    for key, given in sorted(options.items()):
        value = tuple(given) if isinstance(given, list | tuple) else given
        parts: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(part, str | int | float | bool) or part is None for part in parts):
            raise BadInput(
                f"option {key!r} must be a scalar or a flat list of scalars, not {value!r}"
            )
        if any(isinstance(part, float) and not abs(part) <= LARGEST for part in parts):
            raise BadInput(f"option {key!r} must be finite, not {value!r}")
        frozen.append((str(key), value))
    return tuple(frozen)


def _is_level(name: Any, level: Any) -> bool:
    """Whether a pair of ``stop_at`` is an accuracy and a level of it."""
    number = isinstance(level, int | float) and not isinstance(level, bool)
    return (
        isinstance(name, str)
        and name.startswith(("train_acc", "test_acc"))
        and number
        and 0 < level <= 1
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One training run of one network (frozen, hashable; equal where the digest is).

    Args:
        task: name of a data set in ``omnigrok.data``.
        model: name of an architecture in ``omnigrok.models``.
        seed: sets data, split or subset, initial weights and batch order; seed 0 is the authors'
            own.
        n_train: training samples.
        steps: optimiser steps.
        lr: learning rate of AdamW.
        alpha: initialization scale, w / w0 (Section 2).
        weight_decay: decoupled weight decay gamma; each step multiplies w by 1 - lr gamma.
        batch_size: samples a step; 0 is full batch.
        loss: one of ``LOSSES``; the mean over batch and outputs.
        constraint: how the weight norm is held (``omnigrok.training.sphere``); "free" does not hold
            it.
        messiness: m of Eq. 4 (addition) or of Section 5.2 (MNIST).
        precision: arithmetic of weights and activations.
        loss_precision: arithmetic of the loss, from the network's outputs on.
        log_ratio: largest relative distance of two logged steps.
        log_every: if positive, log every ``log_every`` steps instead.
        eval_samples: if positive, train and test metrics come from a fresh random sample of this
            size.
        lr_drops: steps at which lr is multiplied by ``lr_factor``.
        clip: if positive, gradients are clipped to this norm.
        stop_at: accuracy columns with a level in (0, 1] each, e.g. ``{"test_acc": 0.95}``; the run
            ends once all of them have stayed there for a fifth of the elapsed steps
            (``omnigrok.training.stopping``), at ``steps`` otherwise. Times to thresholds up to the
            level are those of the whole run; a final value or a later norm is not known. Empty:
            never.
        data: options of the data set, sorted pairs (``freeze``).
        network: options of the architecture, sorted pairs.

    Raises:
        BadInput: a value is not accepted.
    """

    task: str
    model: str
    seed: int
    n_train: int
    steps: int
    lr: float
    alpha: float = 1.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    batch_size: int = 0
    loss: str = "mse"
    constraint: str = "free"
    messiness: float = 0.0
    precision: str = "float32"
    loss_precision: str = "float32"
    log_ratio: float = 0.02
    log_every: int = 0
    eval_samples: int = 0
    lr_drops: tuple[int, ...] = ()
    lr_factor: float = 1.0
    clip: float = 0.0
    data: Options = ()
    network: Options = ()
    stop_at: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        def need(ok: bool, key: str, accepted: str) -> None:
            if not ok:
                raise BadInput(
                    f"Run: {key} = {repr(getattr(self, key))[:200]} is not accepted; {accepted}"
                )

        for name in ("task", "model"):
            need(isinstance(getattr(self, name), str), name, "give a name")
        for name in ("seed", "n_train", "steps", "batch_size", "log_every", "eval_samples"):
            value = getattr(self, name)
            whole = (
                isinstance(value, int) and not isinstance(value, bool) and value <= LARGEST_WHOLE
            )
            need(whole, name, f"give a whole number up to {LARGEST_WHOLE}")
        for name in ("lr", "alpha", "weight_decay", "messiness", "log_ratio", "clip", "lr_factor"):
            value = getattr(self, name)
            need(
                isinstance(value, int | float) and abs(value) <= LARGEST,
                name,
                "give a finite number",
            )
            object.__setattr__(self, name, float(value))
        need(self.seed >= 0, "seed", "0 or more")
        need(self.n_train >= 1, "n_train", "1 or more")
        need(self.steps >= 1, "steps", "1 or more")
        need(self.lr > 0, "lr", "above 0")
        need(self.alpha >= 0, "alpha", "0 or more")
        need(self.weight_decay >= 0, "weight_decay", "0 or more")
        need(self.batch_size >= 0, "batch_size", "0 (full batch) or more")
        need(self.loss in LOSSES, "loss", f"one of {', '.join(LOSSES)}")
        need(self.constraint in CONSTRAINTS, "constraint", f"one of {', '.join(CONSTRAINTS)}")
        need(self.precision in PRECISIONS, "precision", f"one of {', '.join(PRECISIONS)}")
        need(self.loss_precision in ("float32", "float64"), "loss_precision", "float32 or float64")
        need(0 < self.log_ratio <= 1, "log_ratio", "in (0, 1]")
        need(
            self.log_every >= 0 and self.eval_samples >= 0,
            "log_every",
            "log_every and eval_samples are 0 or more",
        )
        need(
            self._logged() <= MOST_LOGGED,
            "log_every" if self.log_every else "log_ratio",
            f"log at most {MOST_LOGGED} of the steps",
        )
        object.__setattr__(self, "betas", tuple(float(beta) for beta in self.betas))
        need(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "betas",
            "two numbers in [0, 1)",
        )
        object.__setattr__(self, "lr_drops", tuple(int(step) for step in self.lr_drops))
        for name in ("data", "network"):
            object.__setattr__(self, name, freeze(dict(getattr(self, name))))
        levels = dict(self.stop_at)
        need(
            all(_is_level(*pair) for pair in levels.items()),
            "stop_at",
            "give train_acc, test_acc or the like a level in (0, 1] each",
        )
        object.__setattr__(
            self, "stop_at", tuple(sorted((name, float(level)) for name, level in levels.items()))
        )

    def _logged(self) -> float:
        """How many steps are logged, at most."""
        if self.log_every:
            return self.steps // self.log_every + 2
        # Every step until the ratio is worth one step, then each further by the ratio.
        first = min(self.steps, 2 / self.log_ratio)
        return first + math.log(max(self.steps / first, 1.0)) / math.log1p(self.log_ratio / 2) + 2

    def as_dict(self) -> dict[str, Any]:
        """Every field by name, those of ``LATER`` only where they are set; options as dicts, tuples
        as lists (JSON-ready).
        """
        # dataclasses.asdict copies every value, all of which are immutable.
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("data", "network"):
            fields[name] = {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in getattr(self, name)
            }
        fields["betas"], fields["lr_drops"], fields["stop_at"] = (
            list(self.betas),
            list(self.lr_drops),
            dict(self.stop_at),
        )
        return {name: value for name, value in fields.items() if value or name not in LATER}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Run:
        """The inverse of ``as_dict``.

        Raises:
            BadInput: a key is not a field of Run, or one that has no default is missing.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise BadInput(f"Run: unknown key {unknown[0]!r}; accepted: {', '.join(known)}")
        missing = [
            name
            for name, field in known.items()
            if field.default is dataclasses.MISSING and name not in fields
        ]
        if missing:
            raise BadInput(f"Run: missing key {missing[0]!r}")
        values = dict(fields)
        for name in ("data", "network"):
            options = values.get(name, {})
            if not isinstance(options, Mapping):
                options = dict(options)
            values[name] = freeze(options)
        for name in ("betas", "lr_drops"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all fields, 32 hex digits: the Run's key in a store."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def wide(self) -> bool:
        """Whether its columns are recorded as float64, the arithmetic of the network or of the
        loss; float32 otherwise.
        """
        return "float64" in (self.precision, self.loss_precision)

    def option(self, key: str, default: Any = None) -> Any:
        """An option of the data set or of the network (data first)."""
        for options in (self.data, self.network):
            for name, value in options:
                if name == key:
                    return value
        return default

    def replace(self, **changes: Any) -> Run:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    def with_accepted(self, changes: Mapping[str, Any]) -> Run:
        """A copy with other values that a Run has held before: they are not checked again.

        Args:
            changes: field to value, as another Run of the same settings holds it.
        """
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__.pop("digest", None)
        copy.__dict__.update(changes)
        return copy
