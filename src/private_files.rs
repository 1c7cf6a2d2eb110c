//! Folders and files that their owner alone can read: the one place that knows their modes.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tracing::{info, warn};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The bits of a mode that let others in.
const OTHERS: u32 = 0o077;

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

/// Makes a folder and those above it, mode 0700; one that is there is left as it is.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Opens for writing, and gives a file that it makes the mode 0600.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    options
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
        }
        Ok(was_open)
    });
    match closed {
        Ok(false) => {}
        Ok(true) => info!(%file, "🔧 Others could read a file of ours; now its owner alone can"),
        Err(error) => warn!(%file, %error, "⚠️ Others may be able to read a file of ours"),
    }
}
