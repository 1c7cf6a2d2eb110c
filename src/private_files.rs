//! Folders and files that their owner alone can read: the one place that knows their modes.
//!
//! [`owner`]: whose files are ours to use. [`whole`]: files that are made whole or not at all.

mod owner;
mod whole;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use tracing::{info, warn};

pub use owner::Unusable;
pub(crate) use owner::{check, folder_of, give_to_owner_of_folder};
pub(crate) use whole::Half;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

const NEVER_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// The bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// The bits of a folder's mode that let others make and remove files in it.
const CHANGED_BY_OTHERS: u32 = 0o022;

/// The bits of a folder's mode that let others pass through it.
const PASSING: u32 = 0o011;

/// Who else may read or change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Nobody.
    None,
    /// Nobody: its mode would let them, but a folder above it does not.
    Sheltered(u32),
    /// Others on this machine, by this mode.
    Open(u32),
}

/// Looks who else may use a file, by its mode and those of the folders above it.
pub(crate) fn exposure(path: &Path) -> io::Result<Exposure> {
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

/// The mode of a folder in which others can make and remove files; `None` if they can't.
pub(crate) fn changed_by_others(folder: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(folder)?.permissions().mode() & 0o7777;
    Ok((mode & CHANGED_BY_OTHERS != 0).then_some(mode))
}

/// Makes a folder and those above it, mode 0700; an existing one is left as it is.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
    missing.into_iter().rev().try_for_each(make_one_folder)
}

fn make_one_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => give_to_owner_of_folder(path),
        // Another process was faster, or the path leads back up, as `a/..` does.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens for writing, and gives a file that it makes the mode 0600. Never waits for the other end
/// of a FIFO.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE).custom_flags(NEVER_WAIT);
    options
}

/// Opens for reading; never waits for the other end of a FIFO.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NEVER_WAIT).open(path)
}

/// Takes a file that is there away from all but its owner, and says so where it was not private.
///
/// Where that can't be done, the file is somebody else's or lies on a disk without modes: a
/// warning, since the service works all the same.
pub(crate) fn close_to_others(path: &Path) {
    let file = path.display();
    let closed = fs::metadata(path).and_then(|metadata| {
        let was_open = metadata.permissions().mode() & OTHERS != 0;
        if was_open {
            fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
            if fs::metadata(path)?.permissions().mode() & OTHERS != 0 {
                return Err(io::Error::other("this file system keeps no modes"));
            }
        }
        Ok(was_open)
    });
    match closed {
        Ok(false) => {}
        Ok(true) => info!(%file, "🔧 Others could read a file of ours; now its owner alone can"),
        Err(error) => warn!(%file, %error, "⚠️ Others may be able to read a file of ours"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    use super::make_folder;

    #[test]
    fn each_folder_made_is_private_and_belongs_to_the_owner_of_the_one_above() {
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
