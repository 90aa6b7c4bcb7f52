"""Which GPU each worker of pytest-xdist sees."""

from __future__ import annotations

import os
import re

import torch

VARIABLE = "CUDA_VISIBLE_DEVICES"
CARDS = "OMNIGROK_CARDS"  # how many the workers share, for those that divide the memory among them


def worker_number(name: str) -> int | None:
    """The number in the name that pytest-xdist gives its workers ("gw3"); None for any
    other name.
    """
    match = re.fullmatch(r"gw(\d+)", name)
    return int(match[1]) if match else None


def assign_gpu(worker: int) -> None:
    """Give a worker one of the visible GPUs, in turn. What the caller lets be seen is respected;
    CUDA must not have started.
    """
    visible = os.environ.get(VARIABLE)
    if visible is None:
        cards = [
            str(number) for number in range(torch.cuda.device_count())
        ]  # counting does not start CUDA
    else:
        cards = []
        for card in (each.strip() for each in visible.split(",")):
            if not re.fullmatch(r"\d+|(GPU|MIG)-.+", card):
                break  # CUDA, too, ends the list at the first name that is none
            cards.append(card)
    if cards:
        os.environ[VARIABLE] = cards[worker % len(cards)]
        os.environ[CARDS] = str(len(cards))
