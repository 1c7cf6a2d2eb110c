"""A small file system that may be full, frozen, or not to be written to: ours alone."""

import os
import subprocess
import tempfile


class SmallDisk:
    """ext4 in a file, mounted at `folder`; it needs root, and nobody outside sees it."""

    def __init__(self, megabytes):
        if os.geteuid() != 0:
            raise SystemExit("chaos: a file system can be mounted by root alone")
        self.megabytes, self.is_frozen = megabytes, False

    def __enter__(self):
        home = tempfile.mkdtemp(prefix="disk-", dir=os.environ["CHAOS_FOLDER"])
        os.chmod(home, 0o711)
        self.image, self.mount = os.path.join(home, "image"), os.path.join(home, "mounted")
        os.mkdir(self.mount)
        with open(self.image, "wb") as file:
            file.truncate(self.megabytes << 20)
        run("mkfs.ext4", "-q", "-m", "0", self.image)
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.mount)
        os.chmod(self.mount, 0o711)
        self.folder = os.path.join(self.mount, "data")
        os.mkdir(self.folder, 0o700)
        self.filler = os.path.join(self.mount, "filler")
        return self

    def __exit__(self, *_):
        if self.is_frozen:
            self.thaw()
        run("umount", "--lazy", self.mount)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            for size in 65536, 1024, 1:
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
            os.fsync(file.fileno())

    def make_room(self):
        os.remove(self.filler)

    def freeze(self):
        run("fsfreeze", "--freeze", self.mount)
        self.is_frozen = True

    def thaw(self):
        run("fsfreeze", "--unfreeze", self.mount)
        self.is_frozen = False

    def forbid_writes(self):
        """What is open can't be written either; SQLite's shared memory is memory."""
        run("chattr", "+i", *self._files())

    def allow_writes(self):
        run("chattr", "-i", *self._files())

    def _files(self):
        names = [name for name in os.listdir(self.folder) if not name.endswith("-shm")]
        return [os.path.join(self.folder, name) for name in names]

    def break_down(self):
        """An error of the disk: the system makes it read-only, until it is mounted again."""
        device = os.path.basename(run("findmnt", "-no", "SOURCE", self.mount).strip())
        with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w") as file:
            file.write("a test")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
