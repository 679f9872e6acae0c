"""Runs as tasks of Ray: on this machine, or on a cluster whose address is given."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conceptspace.errors import UserError
from conceptspace.experiment import needs, parts
from conceptspace.files import make_folders
from conceptspace.locking import Busy
from conceptspace.store import Run, open_or_create
from conceptspace.sweeps.cost import taken
from conceptspace.sweeps.local import log_of
from conceptspace.sweeps.others import Others
from conceptspace.sweeps.plan import Plan
from conceptspace.sweeps.progress import Elsewhere, Failed, Finished, Interrupted, Progress
from conceptspace.sweeps.resources import Resources
from conceptspace.sweeps.storage import SMALL, Store, StoredRun
from conceptspace.sweeps.worker import BUSY, STOPPED, UNCOVERED, Outcome, work

POLL = 0.5
"""Seconds between questions whether to stop."""

GRACE = 120.0
"""Seconds within which tasks that were asked to stop save and end."""

STORE = 100 * 2**20
"""Bytes of Ray's object store on this machine; results are sentences."""

ADDRESS = "RAY_ADDRESS"
"""Ray's own environment variable of the cluster's address."""


def execute(
    plans: Sequence[Plan],
    out: Path,
    *,
    resources: Resources,
    address: str = "",
    jobs: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Bring every plan to its end, one task a run; what exists is skipped.

    Ray places the tasks, and starts one again that lost its worker or node: it goes on from the
    run's last checkpoint. A run that another process works on has no task until that has ended. All
    nodes see the output folder under the same path.

    Args:
        plans: the runs.
        out: output folder.
        resources: of each run, as Ray counts them.
        address: of a cluster, e.g. ``auto`` or ``ray://host:10001``; otherwise that of
            ``RAY_ADDRESS``, or Ray is started on this machine. A program's own connection is used.
        jobs: how many at once; default: as many as there are processors for.
        stop: asked all the time; when it says so, the tasks save and end.

    Raises:
        Interrupted: ``stop`` said so.
        UserError: Ray is not installed, or there is no cluster at the address.
    """
    ray = _ray()
    out = out.resolve()
    waiting = []
    for plan in plans:
        try:
            waiting += [] if plan.exists(out) else [plan]
        except (UserError, OSError) as error:
            yield Failed(plan, str(error))
    if not waiting:
        return
    with _connected(ray, address, jobs, resources):
        task = ray.remote(_work).options(
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            max_retries=resources.retries,
            runtime_env={"env_vars": resources.environment},
        )
        tasks = dict[Any, Plan]()
        others, elsewhere, awaited = Others(out, resources.store), set[str](), ""
        try:
            while waiting or tasks:
                if stop():
                    raise Interrupted
                free = (plan for plan in list(waiting) if not others.work_on(plan))
                for plan in islice(free, jobs and jobs - len(tasks)):
                    waiting.remove(plan)
                    with suppress(UserError, OSError):  # its task is told as well
                        if plan.name in elsewhere and _finished(plan, out, resources):
                            continue
                    tasks[task.remote(plan, out, resources)] = plan
                elsewhere |= {plan.name for plan in waiting}
                if not tasks:
                    if waiting and awaited != waiting[0].name:
                        awaited = waiting[0].name
                        yield Elsewhere(waiting[0])
                    time.sleep(POLL)
                    continue
                ready, _ = ray.wait(list(tasks), timeout=POLL)
                for reference in ready:
                    event = _ended(ray, reference, tasks.pop(reference), out, resources)
                    if isinstance(event, Elsewhere):
                        waiting.append(event.plan)
                    else:
                        yield event
        finally:
            for reference in tasks:
                ray.cancel(reference, force=False)
            if tasks:
                ray.wait(list(tasks), num_returns=len(tasks), timeout=GRACE)


def _work(plan: Plan, out: Path, resources: Resources) -> Outcome:
    """The task of a run, in a process of Ray's.

    One that goes to a storage is worked on in a folder of its own, and leaves its log there.
    """
    if not resources.store:
        return _in_folder(plan, out, resources)
    with TemporaryDirectory(prefix="conceptspace-run-") as folder:
        outcome = _in_folder(plan, Path(folder), resources)
        log = log_of(plan, Path(folder))
        if log.is_file():
            Store(resources.store).write(f"logs/{log.name}", log.read_bytes())
        return outcome


def _in_folder(plan: Plan, out: Path, resources: Resources) -> Outcome:
    log = log_of(plan, out)
    try:
        if plan.exists(out):  # another process has worked on it meanwhile
            return Outcome(0, "done")
        needs.require(plan.config, plan.folder(out), parts.device(resources.device))
        open_or_create(plan.folder(out), plan.config)
        make_folders(log.parent)
    except Busy as error:
        return Outcome(BUSY, str(error))
    except UserError as error:
        return Outcome(error.status, str(error))
    with log.open("a", buffering=1) as file:
        outcome = work(plan.folder(out), out, resources, lambda line: print(line, file=file))
        print(outcome.reason, file=file)
    return outcome


def _ended(
    ray: Any, reference: Any, plan: Plan, out: Path, resources: Resources
) -> Finished | Failed | Elsewhere:
    log = log_of(plan, out)
    try:
        outcome: Outcome = ray.get(reference)
        finished = outcome.status == 0 and _finished(plan, out, resources)
    except ray.exceptions.RayTaskError as error:
        return Failed(plan, f"{type(error.cause).__name__}: {error.cause} (log: {log})")
    except ray.exceptions.TaskCancelledError:
        return Failed(plan, "it was stopped; the same command goes on with it")
    except ray.exceptions.RayError as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        return Failed(plan, f"its workers were lost, the last by: {first} (log: {log})")
    except (UserError, OSError) as error:
        return Failed(plan, f"{error} (log: {log})")
    if finished:
        return Finished(plan, taken(Run(plan.folder(out))))
    if outcome.status == BUSY:
        return Elsewhere(plan)
    reason = outcome.reason if outcome.status else UNCOVERED
    if outcome.status == STOPPED:
        reason = "it was stopped; the same command goes on with it"
    return Failed(plan, f"{reason} (log: {log})")


def _finished(plan: Plan, out: Path, resources: Resources) -> bool:
    """Whether a run has covered its plan, wherever it was worked on.

    Raises:
        UserError: the storage does not answer, or the run is damaged.
        OSError: it cannot be read.
    """
    if resources.store:
        StoredRun(Store(resources.store), plan.name, plan.folder(out)).fetch(SMALL)
    return plan.exists(out)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError(
            "--engine ray needs Ray; install it: pip install 'conceptspace[ray]'"
        ) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str, jobs: int | None, resources: Resources) -> Iterator[None]:
    """Ray, unless it is there already; the handlers of signals stay as they were."""
    if ray.is_initialized():
        yield
        return
    asked = address or os.environ.get(ADDRESS, "")
    options: dict[str, Any] = {"address": asked}
    if not asked:
        options = {
            "address": "local",
            "num_cpus": jobs and math.ceil(jobs * resources.cpus),
            "include_dashboard": False,
            "object_store_memory": STORE,
        }
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(log_to_driver=False, logging_level="error", **options)
    except Exception as error:  # a node that does not start in time raises no narrower one
        ray.shutdown()
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        where = asked or "this machine"
        raise UserError(f"Ray does not answer at {where}: {first}; see --address") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        _enough(ray.cluster_resources(), resources, bool(asked))
        yield
    finally:
        ray.shutdown()


def _enough(there: dict[str, float], resources: Resources, cluster: bool) -> None:
    """Refuse what a machine will never have; a cluster may grow.

    Raises:
        UserError: a run is to be given more than Ray has.
    """
    for asked, name in ((resources.cpus, "CPU"), (resources.gpus, "GPU")):
        if not cluster and asked > there.get(name, 0):
            raise UserError(
                f"a run is to have {asked:g} {name}, and Ray has {there.get(name, 0):g} here; "
                f"lower --{name.lower()}s-per-run"
            )
