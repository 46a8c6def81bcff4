"""Where the work is done makes no difference: this process, others, a cluster, and workers that die."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import migrate

from nkimigrate import engine, pool, tasks, workers
from nkimigrate.codemods.analyse import Analysis
from nkimigrate.config import Options
from nkimigrate.errors import UsageError
from nkimigrate.releases import own_step

OLD = "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel\n\ny = mlp_kernel(x, g, u, d)\n"
TREE = {f"pkg/m{i}.py": OLD * (1 + i % 5) for i in range(60)} | {
    "pkg/__init__.py": "",
    "pkg/use.py": "from .m3 import mlp_kernel\n\nmlp_kernel(x, g, u, d)\n",
    "bad.py": "import nkilib\n(",
}


def outcome(result: Any) -> tuple[Any, ...]:
    findings = [(f.path, f.line, f.column, f.code, f.message, f.outcome) for f in result.findings]
    return result.after, findings, result.problems


# -- this machine -------------------------------------------------------------------------------------


def test_batches_have_few_files_and_few_bytes() -> None:
    assert list(pool._batches(20, ())) == [slice(0, 8), slice(8, 16), slice(16, 20)]
    big = pool._BATCH_BYTES
    sizes = [big + 1, 1, big - 1, 1, 5]
    assert list(pool._batches(5, sizes)) == [slice(0, 1), slice(1, 3), slice(3, 5)]
    assert list(pool._batches(0, ())) == []


def doubled(_: None, item: int) -> int:
    return 2 * item


def test_only_a_few_batches_are_under_way() -> None:
    submitted: list[int] = []

    class Here(Executor):
        def submit(self, function: Any, *arguments: Any) -> Any:
            submitted.append(arguments[-1][0])
            future: Future[Any] = Future()
            future.set_result(function(*arguments))
            return future

    class Watched(workers.Machine):
        @contextmanager
        def executor(self, count: int) -> Iterator[Executor]:
            yield Here()

    results = pool.spread(doubled, None, range(8 * 100), 2, lambda item, why: -1, Watched())
    assert next(results) == 0
    assert len(submitted) == 2 * pool._AHEAD
    assert [0, *results] == [2 * i for i in range(800)]


def dying(flag: str, item: int) -> int:
    """Takes its process along when it gets 13 for the first time."""
    if item == 13 and not os.path.exists(flag):
        open(flag, "w").close()
        os._exit(1)
    return 2 * item


def test_another_pool_goes_on_where_a_worker_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    real = pool._again
    monkeypatch.setattr(pool, "_again", lambda *a: again.extend(a[2]) or real(*a))
    results = pool.spread(dying, str(tmp_path / "died"), range(400), 2, lambda item, why: -1)
    assert list(results) == [2 * i for i in range(400)]
    assert again
    assert len(again) <= 2 * pool._AHEAD * 8


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_of_a_pool_goes_on_behind_it(busy: bool) -> None:
    """When Python ended meanwhile, the pool's own thread could end with a traceback."""
    before = set(threading.enumerate())
    started = time.monotonic()
    with workers.Machine().executor(2) as processes:
        done = [processes.submit(time.sleep, 60 * busy) for _ in range(4)]
        if not busy:
            assert [each.result() for each in done] == [None] * 4
    assert set(threading.enumerate()) == before
    assert time.monotonic() - started < 30


def test_a_pool_that_takes_nothing_is_no_endless_loop() -> None:
    class Closed(Executor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise BrokenExecutor

    class Useless(workers.Machine):
        @contextmanager
        def executor(self, count: int) -> Iterator[Executor]:
            yield Closed()

    results = pool.spread(doubled, None, range(20), 2, lambda item, why: -1, Useless())
    assert list(results) == [2 * i for i in range(20)]


def test_workers_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    """They waited for work for ever."""
    for index in range(200):
        (tmp_path / f"m{index}.py").write_text(OLD + "y = mlp_kernel(x, g, u, d)\n" * 150)
    command = [
        sys.executable,
        "-m",
        "nkimigrate",
        "--check",
        "-q",
        "--jobs",
        "2",
        "--no-cache",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    children: list[int] = []
    while len(children) < 2:
        assert process.poll() is None
        children = children_of(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, children))


def children_of(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        pytest.skip("this system does not list the children of a process")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# -- a cluster ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["ray:1", "dask", "dask:", "tcp://host:1"])
def test_what_is_no_cluster_is_explained(where: str) -> None:
    with pytest.raises(UsageError, match="not of the form dask:ADDRESS"):
        migrate({"a.py": OLD}, executor=where)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'nkimigrate\[dask\]'"):
        migrate({"a.py": OLD}, executor="dask:tcp://127.0.0.1:1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of threads in this process: what matters is that everything goes through its scheduler."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as made:
        yield made


QUIET = pytest.mark.filterwarnings("ignore")  # what the cluster warns of is not ours


@QUIET
def test_a_cluster_gives_the_same_result(cluster: Any) -> None:
    here = migrate(TREE)
    there = migrate(TREE, executor=f"dask:{cluster.scheduler_address}")
    assert "mlp as mlp_kernel" in here.text("pkg/m3.py")
    assert outcome(there) == outcome(here)


@QUIET
def test_a_worker_with_another_version_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "version", lambda: "0.0.1")
    with pytest.raises(UsageError, match=r"has nkimigrate 0\.0\.1; it needs"):
        migrate({"a.py": OLD}, executor=f"dask:{cluster.scheduler_address}")


def test_own_tables_go_along_as_text(tmp_path: Path) -> None:
    """A worker has no such file."""
    table = tmp_path / "own.toml"
    head = 'product = "acme"\nfrom = "1"\nto = "2"\nroot = "acme"\nlegacy_roots = []\n'
    table.write_text(f'[release]\n{head}[symbols]\n"acme.a.f" = "acme.b.f"\n')
    setting = tasks.Setting(own_step(str(table)))
    table.unlink()
    task = tasks.Task(b"from acme.a import f\n", tasks.Place("a.py"))
    found = tasks.analyse_task(pickle.loads(pickle.dumps(setting)), task)
    assert isinstance(found, Analysis)
    assert [f.code for f in found.findings] == ["NKM104"]


@QUIET
def test_nothing_that_answers_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "_PATIENCE", 0.3)
    with pytest.raises(UsageError, match="no Dask scheduler answers at"):
        migrate({"a.py": OLD}, executor="dask:tcp://127.0.0.1:9")


def test_an_address_without_a_port_leaves_no_traceback(tmp_path: Path) -> None:
    """The client that failed was heard of once more when Python ended."""
    pytest.importorskip("distributed")
    (tmp_path / "a.py").write_text(OLD)
    command = [sys.executable, "-m", "nkimigrate", "--check", "--isolated", "--executor", "dask:nope", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = "nkimigrate: --executor: no Dask scheduler answers at nope (ValueError)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@QUIET
@pytest.mark.slow
@pytest.mark.parametrize("everyone", [False, True], ids=["some workers", "the whole cluster"])
def test_workers_killed_midway_lose_nothing(everyone: bool, tmp_path: Path) -> None:
    """Workers are killed again and again, and their nannies start others; or all of it goes for good."""
    distributed = pytest.importorskip("distributed")
    tree = {f"pkg/m{i}.py": OLD + "y = mlp_kernel(x, g, u, d)\n" * 40 for i in range(160)}
    here = migrate(tree)
    killed: list[int] = []
    with distributed.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster:
        done = threading.Event()
        client = distributed.Client(cluster, set_as_default=False)

        def killing() -> None:
            while len(killed) < 6 and not done.wait(1.5):
                if everyone:
                    client.shutdown()
                    killed.append(0)
                    return
                pids = list(client.run(os.getpid, on_error="ignore").values())
                if pids:
                    os.kill(pids[0], signal.SIGKILL)
                    killed.append(pids[0])

        thread = threading.Thread(target=killing)
        thread.start()
        try:
            there = migrate(tree, executor=f"dask:{cluster.scheduler_address}")
        finally:
            done.set()
            thread.join()
            client.close()
    assert killed
    assert outcome(there) == outcome(here)


def test_the_option_is_not_read_from_a_configuration(tmp_path: Path) -> None:
    from nkimigrate.settings import Settings

    (tmp_path / "pyproject.toml").write_text('[tool.nkimigrate]\nexecutor = "dask:tcp://elsewhere:8786"\n')
    with pytest.raises(UsageError, match="executor"):
        Settings({"paths": (str(tmp_path),)})


def test_a_run_without_work_needs_no_cluster(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    report = engine.run(Options(paths=(str(tmp_path),), cache=False, executor="dask:tcp://127.0.0.1:9"))
    assert not report.findings


def test_a_configuration_cannot_ask_for_more_processes_than_the_machine_bears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: 2)
    sizes = [10_000_000] * 100_000
    assert workers.Machine().wanted(sizes, 10**12) == 16
    assert workers.Machine().wanted(sizes, 12) == 12
    assert workers.Machine().wanted(sizes, 0) == 2
