"""The commands of several runs at once, each on GPUs of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Queue

import torch

from ifirvos.errors import InputError
from ifirvos.files import make_folder


class Interrupted(Exception):
    """The user has stopped the whole; the processes were asked to save."""


class Machine:
    """Starts the commands of runs, and stops them together.

    Args:
        jobs: Commands at once; None: one for so many GPUs, or one without GPUs.
        gpus_per_job: GPUs of a command.

    Attributes:
        slots: (number of the job, its GPUs): a run takes one and gives it back.
        threads: Threads of a command, where ``OMP_NUM_THREADS`` does not say.
    """

    def __init__(self, jobs: int | None, gpus_per_job: int) -> None:
        # The GPU numbers given by the user or Slurm; CUDA's own start at 0.
        given = os.environ.get('CUDA_VISIBLE_DEVICES')
        gpus = (given.split(',') if given else [str(n) for n in range(128)])[: torch.cuda.device_count()]
        if gpus and gpus_per_job > len(gpus):
            raise InputError(f'--gpus-per-job is {gpus_per_job}, but there are {len(gpus)} GPUs.')
        self.gpus_per_job = gpus_per_job if gpus else 1
        self.jobs = jobs or max(1, len(gpus) // self.gpus_per_job)
        self.slots: Queue = Queue()
        for job in range(self.jobs):
            own = [gpus[(job * self.gpus_per_job + i) % len(gpus)] for i in range(self.gpus_per_job)] if gpus else []
            self.slots.put((job, own))
        self.threads = max(1, (os.cpu_count() or 1) // self.jobs)
        self.running: set[subprocess.Popen] = set()
        self.stopped = False
        self.lock = threading.Lock()

    def call(self, command: Sequence[str | Path], log: Path, slot: tuple[int, list[str]]) -> None:
        """Run a command to its end.

        Raises:
            RuntimeError: If it fails; the message ends with the end of its output.
            Interrupted: If all were stopped.
        """
        job, gpus = slot
        env = dict(os.environ)
        env.setdefault('OMP_NUM_THREADS', str(self.threads))
        if gpus:
            env.update(CUDA_VISIBLE_DEVICES=','.join(gpus))
        env.setdefault('PYTHON', sys.executable)  # for dist_train.sh, which without PORT finds one that is free
        if 'PORT' in env:
            env['PORT'] = str(int(env['PORT']) + job)
        make_folder(log.parent)
        with open(log, 'ab') as output:
            with self.lock:
                if self.stopped:
                    raise Interrupted
                # A new session: Ctrl-C reaches only this program, which then asks the others to save.
                process = subprocess.Popen(
                    [str(part) for part in command],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=env,
                    start_new_session=True,
                )
                self.running.add(process)
            code = process.wait()
        with self.lock:
            self.running.discard(process)
            if self.stopped:
                raise Interrupted
        if code:
            tail = '\n'.join(log.read_text(errors='replace').splitlines()[-15:])
            raise RuntimeError(f'{" ".join(map(str, command))} failed; the end of {log}:\n{tail}')

    def stop(self) -> None:
        """Ask every process to save and end."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.send_signal(signal.SIGTERM)
