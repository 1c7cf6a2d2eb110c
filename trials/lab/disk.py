"""A small private file system that can be full, frozen, read-only or broken."""

import os
import subprocess
import tempfile
from typing import Self

from .lab import Lab


class Disk:
    """ext4 in a file, mounted while the `with` block runs; `folder` is an empty folder in it.

    Mounting needs root. `scripts/try` gives the trial a mount namespace of its own, so the mount
    ends with the trial.
    """

    def __init__(self, lab: Lab, megabytes: int) -> None:
        if os.geteuid() != 0:
            raise SystemExit("This fault mounts a file system, for which it needs root.")
        self.megabytes, self.is_frozen = megabytes, False
        home = tempfile.mkdtemp(prefix="disk-", dir=lab.folder)
        os.chmod(home, 0o711)
        self.image, self.mount = os.path.join(home, "image"), os.path.join(home, "mounted")
        self.folder = os.path.join(self.mount, "data")
        self.filler = os.path.join(self.mount, "filler")

    def __enter__(self) -> Self:
        os.mkdir(self.mount)
        with open(self.image, "wb") as file:
            file.truncate(self.megabytes << 20)
        run("mkfs.ext4", "-q", "-m", "0", self.image)
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.mount)
        os.chmod(self.mount, 0o711)
        os.mkdir(self.folder, 0o700)
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_frozen:
            self.thaw()
        run("umount", "--lazy", self.mount)

    def fill(self) -> None:
        with open(self.filler, "wb", buffering=0) as file:
            for size in 65536, 1024, 1:
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
            os.fsync(file.fileno())

    def make_room(self) -> None:
        os.remove(self.filler)

    def freeze(self) -> None:
        run("fsfreeze", "--freeze", self.mount)
        self.is_frozen = True

    def thaw(self) -> None:
        run("fsfreeze", "--unfreeze", self.mount)
        self.is_frozen = False

    def forbid_writes(self) -> None:
        """Also through files that are open, except for SQLite's shared memory."""
        run("chattr", "+i", *self._files())

    def allow_writes(self) -> None:
        run("chattr", "-i", *self._files())

    def _files(self) -> list[str]:
        names = [name for name in os.listdir(self.folder) if not name.endswith("-shm")]
        return [os.path.join(self.folder, name) for name in names]

    def break_down(self) -> None:
        """Reports an error of the disk, after which Linux makes it read-only until remounted."""
        device = os.path.basename(run("findmnt", "-no", "SOURCE", self.mount).strip())
        with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w") as file:
            file.write("a test")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
