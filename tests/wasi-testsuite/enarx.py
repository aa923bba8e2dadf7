"""The adapter with which the runner of WebAssembly/wasi-testsuite has its tests run in Keeps.

The variable ENARX names the command and options of its own, by default `enarx`; ENARX_KEEP the kind of Keep, as options
of `enarx run`, by default `--backend process`."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

ENARX = shlex.split(os.getenv("ENARX", "enarx"))
KEEP = shlex.split(os.getenv("ENARX_KEEP", "--backend process"))


def get_name() -> str:
    return "enarx"


def get_version() -> str:
    result = subprocess.run([*ENARX, "--version"], check=True, capture_output=True, text=True)
    return result.stdout.split()[1]


def get_wasi_versions() -> list[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> list[str]:
    return ["wasi:cli/command"]


def get_timeout_seconds() -> float:
    # Programs are compiled before they are run.
    return 60


def compute_argv(test_path: str, surroundings: tuple[list[str], dict[str, str], Any], *_others: Any) -> list[str]:
    """The command that runs one test, with the arguments, the environment, and the root directory that it is to have."""
    args, env, root = surroundings
    # Tests count their variables, and those are a Keep's own.
    variables = {"FD_COUNT": "", "FD_NAMES": ""} | env
    options = [option for name, value in variables.items() for option in ("--env", f"{name}={value}")]
    for source, target in directories(root):
        options += ["--mount", f"{source}:{target}"]
    return [*ENARX, "run", "--quiet", *KEEP, *options, test_path, "--", *args]


def directories(root: Any) -> list[tuple[str, str]]:
    """Where directories come from and where programs see them; older runners give a list of them."""
    if not root:
        return []
    if isinstance(root, (str, Path)):
        return [(str(root), "/")]
    return [(str(host), f"/{str(guest).strip('/')}") for host, guest in root]
