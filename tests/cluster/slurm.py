"""A Slurm cluster of two nodes on this machine, with daemons, ports and keys of its own.

By hand, in a shell that then may run `sinfo`, and `scancel`, until Ctrl-C here ends the cluster:

    python tests/cluster/slurm.py /tmp/cluster      # prints the variable to export
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scontrol", "scancel")
NODES = ("node1", "node2")
CPUS = 2  # of each node, whatever the machine has
HIDDEN = "hidden"  # folder in the cluster's that its nodes do not see
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout={silence_seconds}
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
{nodes}
PartitionName=short Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Unavailable(RuntimeError):
    """Slurm cannot be started here."""


class Cluster:
    """A running cluster; Slurm's commands find it by the environment variable SLURM_CONF.

    Args:
        folder: new folder for its files.
        silence_seconds: after which a node that does not answer is down, and its jobs are requeued; Slurm's default.
    Raises:
        Unavailable: when a program is missing, this user is not root, or a daemon does not start.
    """

    def __init__(self, folder: Path, silence_seconds: int = 300) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
        if missing:
            raise Unavailable(f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge")
        if os.geteuid() != 0:
            raise Unavailable("Slurm's daemons run as root")
        self.folder, self.daemons = folder, dict[str, subprocess.Popen[bytes]]()
        for name in ("state", HIDDEN):
            (folder / name).mkdir(parents=True)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={_free_port()} CPUs={CPUS}" for node in NODES
        )
        ports = {"controller_port": _free_port(), "silence_seconds": silence_seconds}
        text = CONF.format(folder=folder, host=host, nodes=nodes, **ports)
        self.conf = folder / "slurm.conf"
        self.conf.write_text(text)
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise

    @property
    def environment(self) -> Mapping[str, str]:
        return {"SLURM_CONF": str(self.conf)}

    def run(self, *command: str) -> str:
        """Output of a command of Slurm."""
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_controller(self) -> None:
        self._start("slurmctld", "-D", "-f", str(self.conf))

    def stop_controller(self) -> None:
        self._stop("slurmctld")

    def state(self) -> str:
        """State of the nodes, in Slurm's words; empty while the controller does not answer."""
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        return done.stdout.strip()

    def resume(self) -> None:
        """Make all nodes take jobs again; each is asked alone, as Slurm refuses that for one which does already."""
        for node in NODES:
            command = ["scontrol", "update", f"nodename={node}", "state=resume"]
            subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True)
        self._wait(lambda: self.state() == "idle", "a node")

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and everything that runs on it, as a power failure does."""
        namespace = _mounts_of(self.daemons[node].pid)
        assert namespace != _mounts_of(os.getpid()), "everything on this machine would be killed"
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, OSError):  # it has ended, or is another user's
                if _mounts_of(process.pid) == namespace:
                    process.kill()
        self.daemons.pop(node).wait()

    def start_nodes(self) -> None:
        """Start the nodes that do not run, if any, and wait until all take jobs."""
        if missing := [node for node in NODES if node not in self.daemons]:
            for node in missing:
                self._start_node(node)
            self._wait(lambda: self.state() == "idle", "a node")

    def stop(self) -> None:
        for name in (*NODES, "slurmctld", "munged"):
            self._stop(name)

    def _start_all(self) -> None:
        files = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "seed", "log")]
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *files)
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munged")
        self.start_controller()
        self.start_nodes()

    def _start_node(self, node: str) -> None:
        """Start a node in a mount namespace of its own, in which a folder is empty: a disk that it does not share."""
        hide = f"mount -t tmpfs none {self.folder}/{HIDDEN} && exec slurmd -D -N {node} -f {self.conf}"
        self._start(node, "unshare", "--mount", "sh", "-c", hide)

    def _start(self, name: str, *arguments: str) -> None:
        command = list(arguments) if name in NODES else [name, *arguments]
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                command, env={**os.environ, "PATH": _path()}, stdout=output, stderr=subprocess.STDOUT
            )

    def _stop(self, name: str) -> None:
        if (daemon := self.daemons.pop(name, None)) is not None:
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _wait(self, condition, what: str) -> None:
        end = time.monotonic() + 60
        while not condition():
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if dead or time.monotonic() > end:
                name = dead[0] if dead else "slurmctld"
                lines = "".join(path.read_text(errors="replace") for path in self.folder.glob(f"*{name}.[ol]*"))
                raise Unavailable(f"{what} does not start: {' '.join(lines.split())[-300:]}")
            time.sleep(0.2)


def _mounts_of(pid: int) -> str:
    """Mount namespace of a process."""
    return str(Path(f"/proc/{pid}/ns/mnt").readlink())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


if __name__ == "__main__":
    cluster = Cluster(Path(sys.argv[1]).absolute())
    print(f"export SLURM_CONF={cluster.conf}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    cluster.stop()
