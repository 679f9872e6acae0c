"""A real Slurm of one machine, which is controller and node."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")

CONFIG = """
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
KillWait=20
SlurmdTimeout=60
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def free_ports(count: int) -> list[int]:
    opened = [socket.socket() for _ in range(count)]
    for one in opened:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return ports


@contextmanager
def serving(home: Path) -> Iterator[None]:
    """Slurm runs, and the environment leads to it; skips where it is not installed."""
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking or os.geteuid():
        pytest.skip(
            f"Slurm needs root and Debian's slurm-wlm and munge; lacking: {lacking or 'root'}"
        )
    for name in ("state", "spool"):
        (home / name).mkdir(parents=True)
    (home / "munge.key").write_bytes(os.urandom(1024))
    (home / "munge.key").chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    config = home / "slurm.conf"
    config.write_text(
        CONFIG.format(host=host, home=home, ports=free_ports(2), cores=os.cpu_count())
    )
    (home / "cgroup.conf").write_text("CgroupAutomount=no\n")
    munge = [f"--socket={home}/munge.socket", f"--key-file={home}/munge.key"]
    munge += [f"--{what}-file={home}/munge.{what}" for what in ("log", "pid", "seed")]
    commands = [
        ["munged", "--foreground", "--force", *munge],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config), "-N", host],
    ]
    started: list[subprocess.Popen[bytes]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(config))
        try:
            for command in commands:
                log = (home / f"{command[0]}.out").open("wb")
                started.append(subprocess.Popen(command, stdout=log, stderr=log))
                log.close()
                time.sleep(1)
            _wait_for_node(home)
            yield
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(20)


def _wait_for_node(home: Path) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        told = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True)
        if told.stdout.strip() in ("idle", "mix", "alloc"):
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in home.glob("*.out"))
    raise AssertionError(f"Slurm does not start: {told.stdout} {told.stderr}\n{logs}")
