//! Files that become visible only once they are complete, on file systems of every kind.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::FILE_MODE;
use super::owner::{self, folder_of};

const ENDING: &str = ".half";

/// The age at which a pending file counts as left behind by a killed process.
///
/// A lock would not do: on network file systems it would prevent SQLite from locking the file.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// A file that gets its final name when it is complete; it is removed if dropped before.
#[derive(Debug)]
pub struct PendingFile(NamedTempFile);

/// A way to rename a file that fails if the new name is already taken.
type Rename = fn(&Path, &Path) -> io::Result<()>;

/// The ways in order; the first one that the file system supports is used.
const RENAMES: [Rename; 3] = [rename_without_replacing, link, rename_if_free];

impl PendingFile {
    /// Creates an empty file in the folder of `path`, mode 0600.
    ///
    /// # Errors
    ///
    /// If the file can't be created.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let folder = folder_of(path);
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(ENDING)
            .permissions(Permissions::from_mode(FILE_MODE))
            .tempfile_in(folder)?;
        remove_left_behind(folder, &prefix, file.as_file());
        Ok(Self(file))
    }

    /// Returns the path of the file until it gets its final name.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the file, open for reading and writing.
    pub fn file(&mut self) -> &mut File {
        self.0.as_file_mut()
    }

    /// See [`crate::give_to_owner_of_folder`].
    ///
    /// # Errors
    ///
    /// If the file can't be given away.
    pub fn give_to_owner_of_folder(&self) -> io::Result<()> {
        owner::give_to_owner_of_folder(self.path())
    }

    /// Gives the file its final name, which must not exist.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if the name is taken; any other error if the disk can't be
    /// written to.
    pub fn publish(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        rename(self.path(), path, &RENAMES)?;
        sync_folder(path)
    }

    /// Gives the file its final name, and replaces an existing file.
    ///
    /// # Errors
    ///
    /// If the disk can't be written to.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        fs::rename(self.path(), path)?;
        sync_folder(path)
    }
}

/// Removes the pending files of killed processes.
///
/// A file server has its own clock, so the current time is that of `new`, a file just created in
/// the same folder.
fn remove_left_behind(folder: &Path, prefix: &OsString, new: &File) {
    let now = new.metadata().and_then(|new| new.modified());
    let Some(limit) = now.ok().and_then(|now| now.checked_sub(LEFT_BEHIND_AFTER)) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_pending =
            name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(ENDING.as_bytes());
        let is_left_behind =
            |file: Metadata| file.is_file() && file.modified().is_ok_and(|written| written < limit);
        if is_pending && entry.metadata().is_ok_and(is_left_behind) {
            // If it can't be removed, the next pending file retries.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn rename(from: &Path, to: &Path, renames: &[Rename]) -> io::Result<()> {
    let mut result = Err(ErrorKind::Unsupported.into());
    for rename in renames {
        result = rename(from, to);
        if !result.as_ref().is_err_and(is_unsupported) {
            break;
        }
    }
    result
}

/// Whether the file system lacks an operation; some report it as not permitted.
fn is_unsupported(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::PERM]
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}

/// Renames if the name is free, in two steps.
///
/// Not atomic: if another process creates the file in between, it is overwritten.
fn rename_if_free(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Makes the new name survive a power failure.
fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder_of(path))?.sync_all() {
        Err(error) if !is_unsupported(&error) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{self, ErrorKind, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::Duration;

    use rustix::io::Errno;

    use super::{LEFT_BEHIND_AFTER, PendingFile, RENAMES, Rename, rename};

    const UNSUPPORTED: [Rename; 5] = [
        |_, _| Err(Errno::PERM.into()),
        |_, _| Err(Errno::OPNOTSUPP.into()),
        |_, _| Err(Errno::INVAL.into()),
        |_, _| Err(Errno::NOSYS.into()),
        |_, _| Err(Errno::NOTSUP.into()),
    ];

    fn pending_and_path(folder: &Path) -> (PendingFile, std::path::PathBuf) {
        let path = folder.join("file");
        let mut pending = PendingFile::beside(&path).unwrap();
        pending.file().write_all(b"new").unwrap();
        (pending, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn every_rename_gives_a_name_and_replaces_no_file() {
        for number in 0..RENAMES.len() {
            let folder = tempfile::tempdir().unwrap();
            let (pending, path) = pending_and_path(folder.path());
            // The file system lacks the preceding ways.
            let renames = [&UNSUPPORTED[..], &RENAMES[number..]].concat();
            rename(pending.path(), &path, &renames).unwrap();
            drop(pending);
            assert_eq!(fs::read(&path).unwrap(), b"new", "rename {number}");
            assert_eq!(names(folder.path()), ["file"], "rename {number}");

            fs::write(&path, "old").unwrap();
            let (pending, path) = pending_and_path(folder.path());
            let taken = rename(pending.path(), &path, &renames).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "rename {number}");
            drop(pending);
            assert_eq!(fs::read(&path).unwrap(), b"old", "rename {number}");
            assert_eq!(names(folder.path()), ["file"], "rename {number}");
        }
    }

    #[test]
    fn the_error_of_a_supported_rename_is_returned() {
        let full: Rename = |_, _| Err(Errno::NOSPC.into());
        let renamed = rename(Path::new("a"), Path::new("b"), &[UNSUPPORTED[0], full, RENAMES[2]]);
        assert_eq!(renamed.unwrap_err().kind(), ErrorKind::StorageFull);
        let renamed = rename(Path::new("a"), Path::new("b"), &UNSUPPORTED);
        assert_eq!(
            renamed.unwrap_err().raw_os_error(),
            io::Error::from(Errno::NOTSUP).raw_os_error()
        );
    }

    #[test]
    fn a_file_is_private_and_published_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (pending, path) = pending_and_path(folder.path());
        drop(pending);
        assert_eq!(names(folder.path()), [""; 0]);
        let (pending, _) = pending_and_path(folder.path());
        pending.publish(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let (pending, _) = pending_and_path(folder.path());
        assert_eq!(pending.publish(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let (pending, _) = pending_and_path(folder.path());
        pending.replace(&path).unwrap();
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn files_of_killed_processes_are_removed_and_those_in_use_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let make = |name: &str, age: Duration| {
            let file = File::create(folder.path().join(name)).unwrap();
            let now = file.metadata().unwrap().modified().unwrap();
            file.set_modified(now.checked_sub(age).unwrap()).unwrap();
        };
        make("file.killed.half", 2 * LEFT_BEHIND_AFTER);
        make("file.slow.half", LEFT_BEHIND_AFTER / 2);
        make("another.half", 2 * LEFT_BEHIND_AFTER);
        let first = PendingFile::beside(&path).unwrap();
        let second = PendingFile::beside(&path).unwrap();
        assert!(first.path().exists() && second.path().exists());
        drop((first, second));
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, ["another.half", "file.slow.half"]);
    }

    #[test]
    fn a_pending_file_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let (pending, _) = pending_and_path(folder.path());
        File::open(pending.path()).unwrap().try_lock().unwrap();
    }
}
