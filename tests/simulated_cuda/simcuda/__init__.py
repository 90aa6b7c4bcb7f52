"""A CUDA device made of CPU memory, for tests of the CUDA path on a machine without a card.

A tensor "on the card" is a wrapper (``tensor.CardTensor``) around a CPU tensor. Every ATen call
goes through ``dispatch.Dispatch``, which refuses what a real card refuses (operands on two devices,
a copy from pageable memory inside a capture) and what this project forbids inside a step (waiting
for the device, copying to it). Memory is counted and can run out (``memory.Memory``). A CUDA graph
(``graph.RecordedGraph``) records calls, rolls back what they wrote and overwrites what they made
with NaN, as a capture runs nothing; a replay runs them again into the same memory.

What it cannot show: time, the numerics and atomics of real kernels, cuBLAS workspaces, the
fragmentation and caching of the real allocator, and Triton.
"""

from simcuda.card import SimulatedCard, simulation_problem
from simcuda.dispatch import SimulationError

__all__ = ["SimulatedCard", "SimulationError", "simulation_problem"]
