"""How torch's threads wait for each other. Import it before torch.

GNU OpenMP, which torch's Linux wheels bring along, lets a thread that waits spin for milliseconds.
On cores that another process uses too, the spinning thread takes the time of the one it waits for,
and a step of small networks takes up to forty times as long. A thread that sleeps costs
microseconds instead. The library reads the setting once, when torch is loaded; a value that the
user has set stays.
"""

from __future__ import annotations

import os

if "GOMP_SPINCOUNT" not in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
