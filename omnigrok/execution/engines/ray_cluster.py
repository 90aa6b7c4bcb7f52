"""Stacks in the actors of a Ray cluster, each with a GPU or a core of its own.

Actors train and report; the process that polls records, checkpoints included. An actor that dies is
replaced, and its job goes on from the last checkpoint. Needs ``pip install 'omnigrok[ray]'``, one
version of everything on all nodes, and the data folder under the same path on each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from omnigrok.errors import EngineError, OutOfMemory
from omnigrok.execution.engines.engine import Failure, Job, Report
from omnigrok.execution.engines.worker import Worker
from omnigrok.training.device import choose_device, cores, describe, memory_share

# Seconds that the actors have to finish their chunk and to send a checkpoint.
STOP_SECONDS = 60.0
# Between two looks at the signals that have come.
LONGEST_WAIT = 1.0
# Seconds for which the size of the cluster is believed.
SIZE_SECONDS = 10.0
# Reports and checkpoints pass through it, and are gone once they are read.
OBJECT_STORE = 500_000_000
START_SECONDS = 300.0


class RemoteWorker(Worker):
    """A ``Worker`` in an actor.

    Args:
        gpu: whether it trains on the GPU that Ray has given to it.
        root: the folder of downloaded data on its node.
    """

    def __init__(self, gpu: bool, root: str) -> None:
        # Ray gives as many threads as cores, by OMP_NUM_THREADS; torch has read that.
        super().__init__(choose_device(gpu), Path(root))

    def about(self) -> tuple[str, str, float]:
        """The name of the device, the version of torch, and bytes that a stack may take."""
        share = memory_share(self.device)
        # An actor a core.
        memory = share if self.device.type == "cuda" else share / cores()
        return describe(self.device), str(torch.__version__), memory


@dataclass
class Running:
    """A job with the actor that trains it, and the call whose answer is awaited."""

    job: Job
    actor: Any
    ref: Any = None


class RayEngine:
    """``Engine`` of a cluster.

    Args:
        address: of the cluster ("auto", "host:6379"); None starts one of this machine's processes,
            which ends with this one.
        gpu: an actor a GPU; an actor a core otherwise.
        root: the folder of downloaded data, on every node.

    Raises:
        EngineError: the cluster cannot be reached, or has no such device.
    """

    background = True
    shared = ""

    def __init__(self, address: str | None, gpu: bool, root: Path) -> None:
        self.gpu, self.root = gpu, root
        self.kind = "cuda" if gpu else "cpu"
        self._running: dict[int, Running] = {}
        self._idle: list[Any] = []
        self._size, self._looked = 0, 0.0
        self._started = not ray.is_initialized()
        if self._started:
            _connect(address)
        if self.slots < 1:
            raise EngineError(
                f"the cluster {address or 'of this machine'} has no {'GPU' if gpu else 'core'} "
                f"for an actor; it has {ray.cluster_resources()}"
            )
        actor = self._new_actor()
        try:
            self.device, self.torch, self.memory = ray.get(
                actor.about.remote(), timeout=START_SECONDS
            )
        except ray.exceptions.RayError as error:
            raise EngineError(f"the cluster starts no actor: {error}") from error
        self._idle.append(actor)

    @property
    def slots(self) -> int:
        """GPUs, or cores, of the nodes that are alive."""
        if time.monotonic() - self._looked > SIZE_SECONDS or not self._size:
            self._size = int(ray.cluster_resources().get("GPU" if self.gpu else "CPU", 0))
            self._looked = time.monotonic()
        return self._size

    def _new_actor(self) -> Any:
        # Of two actors that want one core only one starts; the other's calls wait.
        options = {"num_cpus": 1, "num_gpus": int(self.gpu), "max_restarts": 0}
        return ray.remote(**options)(RemoteWorker).remote(self.gpu, str(self.root))

    def submit(self, job: Job) -> None:
        """Give the job to an actor; it trains from the next poll on."""
        actor = self._idle.pop() if self._idle else self._new_actor()
        actor.begin.remote(job)
        self._running[job.number] = Running(job, actor)

    def poll(self, seconds: float, save_after: float) -> list[Report]:
        """Wait until an actor reports, at most for ``LONGEST_WAIT``."""
        for each in self._running.values():
            if each.ref is None:
                each.ref = each.actor.advance.remote(seconds, save_after)
        refs = [each.ref for each in self._running.values()]
        if not refs:
            return []
        ready, _ = ray.wait(refs, timeout=LONGEST_WAIT)
        if ready:
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        came = set(ready)
        reports = []
        for each in [each for each in self._running.values() if each.ref in came]:
            report = self._answer(each)
            # Its next chunk begins before this one is recorded.
            if each.job.number in self._running:
                each.ref = each.actor.advance.remote(seconds, save_after)
            reports.append(report)
        return reports

    def _answer(self, running: Running) -> Report:
        """What an actor sent; its job is over where it says so, or says no more."""
        number = running.job.number
        try:
            report: Report = ray.get(running.ref)
        except ray.exceptions.OutOfMemoryError as error:
            failure = Failure(OutOfMemory(str(error)), memory=True, divisible=True)
            report = Report(number, failure=failure)
        except ray.exceptions.RayTaskError as error:
            report = Report(number, failure=Failure(EngineError(f"an actor failed: {error.cause}")))
        except ray.exceptions.RayError:  # the actor has died, or what it sent is lost with its node
            report = Report(number, lost=True)
        else:
            if not report.left:
                self._idle.append(self._running.pop(number).actor)
            return report
        # After an error the state of its process, or of its GPU, is unknown.
        self._kill(self._running.pop(number).actor)
        return report

    def cancel(self, job: Job) -> None:
        """Forget a job, and end the actor in the middle of it."""
        if job.number in self._running:
            self._kill(self._running.pop(job.number).actor)

    def stop(self) -> list[Report]:
        """End all jobs: the rest of their chunks, and checkpoints; an actor that takes too long, or
        has died, sends none.
        """
        running = list(self._running.values())
        last = {each.job.number: each.actor.save.remote() for each in running}
        deadline = time.monotonic() + STOP_SECONDS
        reports: list[Report] = []
        for each in running:
            refs = [ref for ref in (each.ref, last[each.job.number]) if ref is not None]
            left = max(0.0, deadline - time.monotonic())
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=left)
            if len(ready) == len(refs):
                if each.ref is not None:
                    reports.append(self._answer(each))
                if each.job.number in self._running:
                    each.ref = last[each.job.number]
                    reports.append(self._saved(each))
            self.cancel(each.job)
        return [report for report in reports if not report.lost and report.failure is None]

    def _saved(self, running: Running) -> Report:
        try:
            report: Report | None = ray.get(running.ref)
        except ray.exceptions.RayError:
            report = None
        return Report(running.job.number, lost=True) if report is None else report

    def _kill(self, actor: Any) -> None:
        ray.kill(actor)

    def rest(self) -> None:
        """Actors keep what they have: nothing else trains there."""

    def close(self) -> None:
        """End the actors; and the cluster, if this engine has started it."""
        for actor in [*self._idle, *(each.actor for each in self._running.values())]:
            self._kill(actor)
        self._idle, self._running = [], {}
        if self._started:
            ray.shutdown()


def _connect(address: str | None) -> None:
    """Join a cluster, or start one here.

    Raises:
        EngineError: it cannot be reached.
    """
    here = {"num_cpus": cores(), "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        ray.init(
            address="local" if address is None else address,
            log_to_driver=False,
            configure_logging=False,
            **(here if address is None else {}),
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise EngineError(f"--address {address}: no Ray cluster can be reached: {error}") from error
