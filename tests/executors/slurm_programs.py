"""The programs of Slurm that submitit calls, as far as it does, on this machine: arrays, states, requeues, cancels.

`python slurm_programs.py sbatch …` is sbatch, and so on; `install` makes them. What they know of jobs lies in a folder,
SLURM_PROGRAMS: a file for each element, with its state.
"""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

PROGRAMS = ("sbatch", "srun", "sacct", "scancel", "scontrol")
#: A partition that there is not.
NO_PARTITION = "nowhere"


def install(folder, monkeypatch):
    """Make the programs, and have them found; gives the folder of what they know."""
    programs, known = folder / "bin", folder / "known"
    programs.mkdir()
    known.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" {name} "$@"\n')
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_PROGRAMS", str(known))
    return known


def sbatch(script):
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", Path(script).read_text(), re.MULTILINE))
    if options.get("partition") == NO_PARTITION:
        print("sbatch: error: invalid partition specified: nowhere", file=sys.stderr)
        sys.exit("sbatch: error: Batch job submission failed: Invalid partition name specified")
    number = len(list(known().glob("*.sh"))) + 1
    kept = known() / f"{number}.sh"
    kept.write_text(Path(script).read_text())
    (known() / f"{number}.options").write_text("\n".join(f"{key}={value}" for key, value in sorted(options.items())))
    last, most = re.fullmatch(r"0-(\d+)%(\d+)", options.get("array", "")).groups() if "array" in options else ("", "1")
    names = [f"{number}_{task}" for task in range(int(last) + 1)] if last else [str(number)]
    for name in names:
        (known() / name).write_text("PENDING")
    subprocess.Popen(
        [sys.executable, __file__, "controller", str(kept), most, *names], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    print(f"Submitted batch job {number}")


def controller(script, most, *names):
    """Run the elements of an array, so many at once, until all have ended."""
    waiting, running = list(names), {}
    while waiting or running:
        while waiting and len(running) < int(most):
            name = waiting.pop(0)
            if state(name) == "PENDING":
                running[name] = started(script, name)
        for name, process in list(running.items()):
            if process.poll() is not None:
                del running[name]
                again = known() / f"{name}.requeue"
                if again.exists():
                    again.unlink()
                    (known() / name).write_text("PENDING")
                    waiting.append(name)
                elif state(name).startswith("RUNNING"):
                    (known() / name).write_text("FAILED" if process.returncode else "COMPLETED")
        time.sleep(0.1)


def started(script, name):
    number, _, task = name.partition("_")
    own = {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": task} if task else {}
    process = subprocess.Popen(
        ["bash", script], start_new_session=True, env={**os.environ, "SLURM_JOB_ID": number, **own}
    )
    (known() / name).write_text(f"RUNNING {process.pid}")
    return process


def srun(*arguments):
    """Do what is submitted, in this process."""
    words, files = list(arguments), {}
    while words[0].startswith("--"):
        option = words.pop(0)
        if option in ("--output", "--error"):
            files[option] = words.pop(0)
    number, task = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_TASK_ID", "")
    for option, stream in (("--output", 1), ("--error", 2)):
        name = files[option]
        for mark, text in (("%j", number), ("%A", number), ("%a", task), ("%t", "0")):
            name = name.replace(mark, text)
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
    os.environ.update(SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_NTASKS="1", SLURM_JOB_NUM_NODES="1")
    os.execvp(words[0], words)


def sacct(*arguments):
    asked = {word for before, word in pairwise(arguments) if before == "-j"}
    print("JobID|State|NodeList")
    for file in sorted(known().iterdir()):
        if not file.suffix and file.name.partition("_")[0] in asked:
            print(f"{file.name}|{state(file.name).split()[0]}|here")


def scancel(name):
    word, *pid = state(name).split()
    if word in ("PENDING", "RUNNING"):
        (known() / name).write_text("CANCELLED")
    if word == "RUNNING":
        os.killpg(int(pid[0]), signal.SIGTERM)
        # What is told twice not to wait for a better moment.
        time.sleep(0.2)
        with suppress(ProcessLookupError):
            os.killpg(int(pid[0]), signal.SIGKILL)


def scontrol(what, name):
    assert what == "requeue"
    (known() / f"{name}.requeue").touch()


def known():
    return Path(os.environ["SLURM_PROGRAMS"])


def state(name):
    return (known() / name).read_text() or "PENDING"


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
