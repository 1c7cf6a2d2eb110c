"""Which program is tried, which servers it may use, where files go, and the report."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field

from .report import Report

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass(frozen=True)
class Lab:
    """`scripts/try` finds the servers and makes the folder, which it removes at the end."""

    program: str
    folder: str
    postgres_bin: str
    redis_program: str
    report: Report = field(default_factory=Report)

    @classmethod
    def find(cls, program: str | None) -> "Lab":
        """Uses `program`, or a release build of this repository."""
        return cls(
            program=os.path.abspath(program) if program else release_build("discogsography-api"),
            folder=os.environ["TRIALS_FOLDER"],
            postgres_bin=os.environ.get("TRIALS_POSTGRES_BIN", ""),
            redis_program=os.environ.get("TRIALS_REDIS", ""),
        )


def release_build(package: str) -> str:
    """Builds a package whose program has the same name, and returns the program's path."""
    if not shutil.which("cargo"):
        raise SystemExit("The Rust toolchain is missing: see https://rustup.rs.")
    command = ["cargo", "build", "--locked", "--release", "--package", package]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    target = os.path.join(REPOSITORY, os.environ.get("CARGO_TARGET_DIR", "target"))
    return os.path.join(target, "release", package)
