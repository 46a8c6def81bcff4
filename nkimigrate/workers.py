"""Where units of work run: processes of this machine, or a Dask cluster. Each is an executor of
:mod:`concurrent.futures`; whoever spreads work over it knows no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import __version__
from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import Any, Protocol

    class Workers(Protocol):
        """Somewhere to run work."""

        failures: tuple[type[BaseException], ...]
        """What a future raises whose work did not come to an end: the worker died, the cluster went away."""

        def wanted(self, sizes: Sequence[int], jobs: int) -> int:
            """How much to run at the same time for inputs of these sizes (bytes); 1: in this process."""

        def executor(self, count: int) -> Any:
            """A context manager that gives an :class:`Executor`, and ends what is still running."""


# About a second of work. A pool costs 0.15 s of processor time, and saves little below a third of this.
WORTHWHILE_BYTES = 2_500_000
_EACH = 8
"""Processes for each core at most, whatever a configuration asks for: more only take memory."""
SCHEME = "dask:"
"""How ``--executor`` names a Dask cluster: this, and the address of its scheduler."""
_PATIENCE = 20.0
"""Seconds in which a scheduler must answer, and then a worker be there."""


class Machine:
    """Processes of this machine, new ones for each use."""

    failures: tuple[type[BaseException], ...] = ()

    def wanted(self, sizes: Sequence[int], jobs: int) -> int:
        """``jobs``, or for 0 as many as pay; never more than 8 for each core."""
        if len(sizes) < 2 or jobs == 1 or (jobs == 0 and sum(sizes) < WORTHWHILE_BYTES):
            return 1
        return min(jobs or _cores(), len(sizes), _EACH * _cores())

    @contextmanager
    def executor(self, count: int) -> Iterator[Executor]:
        """A pool of that many processes. Hanging ones are ended, and none outlives this process."""
        from concurrent.futures import ProcessPoolExecutor

        pool = ProcessPoolExecutor(count, initializer=_end_with_parent)
        try:
            yield pool
        finally:
            started = list((getattr(pool, "_processes", None) or {}).values())
            manager = getattr(pool, "_executor_manager_thread", None)
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:
                process.terminate()
            if manager is not None:  # Python's end would write to the pipe that it is about to close
                manager.join(_PATIENCE)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> None:
    """Let a worker end when its parent is killed: waiting for work, it would never know."""
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Dask:
    """The workers of a Dask cluster. They get the bytes of files and give back results; they share no disk
    with this process and write nothing.
    """

    def __init__(self, client: Any) -> None:
        from concurrent.futures import CancelledError

        from distributed import client as distributed
        from distributed.scheduler import KilledWorker

        closed = getattr(distributed, "ClosedClientError", OSError)  # newer ones have it
        self._client = client
        self.failures: tuple[type[BaseException], ...] = (KilledWorker, CancelledError, OSError, closed)

    def wanted(self, sizes: Sequence[int], jobs: int) -> int:
        """Everything goes to the cluster; how many workers it has may change at any time."""
        if self._gone:
            return Machine().wanted(sizes, jobs)
        return max(2, len(self._client.scheduler_info().get("workers", ()))) if sizes else 1

    @property
    def _gone(self) -> bool:
        """Whether the scheduler went away: what is left is done here."""
        return bool(self._client.status != "running")

    @contextmanager
    def executor(self, count: int) -> Iterator[Executor]:
        """The cluster; equal pieces of work are done once each (``pure`` would join them)."""
        if self._gone:
            with Machine().executor(min(count, _cores())) as here:
                yield here
            return
        pool = self._client.get_executor(pure=False)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False)


@contextmanager
def opened(executor: str) -> Iterator[Workers]:
    """What ``--executor`` names; nothing: this machine.

    Raises :class:`UsageError` when there is no such cluster, or its workers have another nkimigrate.
    """
    if not executor:
        yield Machine()
        return
    if not executor.startswith(SCHEME) or executor == SCHEME:
        raise UsageError(
            f"--executor {executor}: not of the form {SCHEME}ADDRESS, as in {SCHEME}tcp://host:8786"
        )
    client = _connected(executor.removeprefix(SCHEME))
    try:
        _check_versions(client)
        yield Dask(client)
    finally:
        client.close()


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "--executor dask: needs Dask here and on the workers: pip install 'nkimigrate[dask]'"
        ) from None
    import logging

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is done again, or reported
    try:
        client = _quiet(Client)(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"--executor: no Dask scheduler answers at {address} ({type(error).__name__})"
        ) from None
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except Exception:
        client.close()
        raise UsageError(f"--executor: the Dask cluster at {address} has no worker") from None
    return client


def _quiet(client: type) -> Any:
    """The class without its farewell: a client that could not connect would leave a traceback behind."""
    return type("Client", (client,), {"__del__": lambda self: None})


def version() -> str:
    """The release of nkimigrate, asked of each worker."""
    return __version__


def _check_versions(client: Any) -> None:
    """The workers must do what this process would do."""
    found = client.run(version, on_error="return")
    for worker, answer in sorted(found.items()):
        if answer != __version__:
            said = answer if isinstance(answer, str) else f"none ({type(answer).__name__})"
            raise UsageError(
                f"--executor: the worker {worker} has nkimigrate {said}; it needs {__version__}, as here"
            )
