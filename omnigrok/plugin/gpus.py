"""Which GPU each worker of pytest-xdist sees."""

from __future__ import annotations

import os
import re
import subprocess
import sys

VARIABLE = "CUDA_VISIBLE_DEVICES"
COUNT = "import torch; print(torch.cuda.device_count())"


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
        cards = [str(number) for number in range(count_cards())]
    else:
        cards = []
        for card in (each.strip() for each in visible.split(",")):
            if not re.fullmatch(r"\d+|(GPU|MIG)-.+", card):
                break  # CUDA, too, ends the list at the first name that is none
            cards.append(card)
    if cards:
        os.environ[VARIABLE] = cards[worker % len(cards)]


def count_cards() -> int:
    """Cards of this machine, counted by another process: where NVML is missing, counting starts
    CUDA, which reads ``CUDA_VISIBLE_DEVICES`` only then.
    """
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return int(done.stdout) if done.stdout.strip().isdigit() else 0
