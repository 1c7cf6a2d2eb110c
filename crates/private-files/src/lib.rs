//! Folders and files that only their owner can read, and files that become visible only once they
//! are complete.

mod owner;
mod pending;
pub mod small;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

pub use owner::{Unusable, check, folder_of, give_to_owner_of_folder};
pub use pending::PendingFile;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Opening does not wait for the other end of a FIFO or acquire a controlling terminal.
const OPEN_FLAGS: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// The permission bits that give others access.
const OTHERS: u32 = 0o077;

/// The permission bits that let others create and remove files in a folder.
const CHANGED_BY_OTHERS: u32 = 0o022;

/// The permission bits that let others pass through a folder.
const PASSING: u32 = 0o011;

/// Who else can read or change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// No other user.
    None,
    /// No other user: the mode would give access, but a parent folder prevents it.
    Sheltered(u32),
    /// Other users of this machine, because of this mode.
    Open(u32),
}

/// Returns who else can use a file, by its mode and its parent folders' modes.
///
/// # Errors
///
/// If the file or a folder can't be inspected.
pub fn exposure(path: &Path) -> io::Result<Exposure> {
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(Exposure::None);
    }
    for folder in path.ancestors().skip(1) {
        if fs::metadata(folder)?.permissions().mode() & PASSING == 0 {
            return Ok(Exposure::Sheltered(mode));
        }
    }
    Ok(Exposure::Open(mode))
}

/// Returns the folder's mode if other users can create or remove files in it, otherwise `None`.
///
/// # Errors
///
/// If the folder can't be inspected.
pub fn mode_if_writable_by_others(folder: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(folder)?.permissions().mode() & 0o7777;
    Ok((mode & CHANGED_BY_OTHERS != 0).then_some(mode))
}

/// Creates a folder and its parents, mode 0700; existing ones stay unchanged.
///
/// # Errors
///
/// If a folder can't be created.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
    missing.into_iter().rev().try_for_each(make_one_folder)
}

fn make_one_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => give_to_owner_of_folder(path),
        // Another process created it first, or the path leads back up, as `a/..` does.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns options that open for writing without blocking; new files have mode 0600.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE).custom_flags(OPEN_FLAGS);
    options
}

/// Opens a file for reading, without waiting for the other end of a FIFO.
///
/// # Errors
///
/// If the file can't be opened.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OPEN_FLAGS).open(path)
}

/// Gives a file the mode 0600; returns whether others could use it before.
///
/// # Errors
///
/// If the file belongs to another user, or the file system keeps no modes.
pub fn restrict_to_owner(path: &Path) -> io::Result<bool> {
    let is_open = || Ok::<_, io::Error>(fs::metadata(path)?.permissions().mode() & OTHERS != 0);
    if !is_open()? {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
    if is_open()? {
        return Err(io::Error::other("this file system keeps no modes"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    use super::make_folder;

    #[test]
    fn each_new_folder_is_private_and_belongs_to_the_owner_of_its_parent() {
        let above = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(above.path(), Some(65_534), Some(65_534)).unwrap();
        }
        let owner = |folder: &fs::Metadata| (folder.uid(), folder.gid());
        let expected = fs::metadata(above.path()).unwrap();
        for _ in 0..2 {
            make_folder(&above.path().join("a/b/../b/c")).unwrap();
            for name in ["a", "a/b", "a/b/c"] {
                let folder = fs::metadata(above.path().join(name)).unwrap();
                assert_eq!(owner(&folder), owner(&expected), "{name}");
                assert_eq!(folder.permissions().mode() & 0o7777, 0o700, "{name}");
            }
        }
        fs::write(above.path().join("file"), "").unwrap();
        let taken = make_folder(&above.path().join("file")).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    }
}
