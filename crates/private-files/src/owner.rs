//! Decides which files a program may use: another user's file can't be trusted.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::small::other_kind;

const ROOT: u32 = 0;

/// Why an existing file must not be used.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It is a directory, a FIFO, a device or a socket.
    #[error("{} is {kind}, not a regular file: move it away", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// `a FIFO`
        kind: &'static str,
    },
    /// Another user owns it.
    #[error(
        "{} belongs to {}, but this program runs as {}: {}",
        .path.display(), name(*.owner), name(*.user), advice(path, *.owner, *.user)
    )]
    OfAnotherUser {
        /// The file.
        path: PathBuf,
        /// The id of its owner.
        owner: u32,
        /// The id that this program runs as.
        user: u32,
    },
    /// It can't be inspected.
    #[error("{} can't be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Checks that a file is regular and belongs to this user; a missing file is fine.
///
/// Root may also use files of the folder's owner, and every user may use root's files in a folder
/// of root. If the mount decides who owns files, this user owns those that have the owner of a new
/// file.
///
/// # Errors
///
/// See [`Unusable`].
pub fn check(path: &Path) -> Result<(), Unusable> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Unusable::Unreadable { path: path.to_owned(), source }),
    };
    if let Some(kind) = other_kind(found.file_type()) {
        return Err(Unusable::NotAFile { path: path.to_owned(), kind });
    }
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    if may_own(owner, user, owner_of_folder(path), || owner_of_new_file(path)) {
        return Ok(());
    }
    Err(Unusable::OfAnotherUser { path: path.to_owned(), owner, user })
}

/// Gives a file that root created to the owner of its folder.
///
/// Otherwise a command that root runs would leave files that the owner can't use.
///
/// # Errors
///
/// If the file can't be given away.
pub fn give_to_owner_of_folder(path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = fs::metadata(folder_of(path))?;
    // If the mount decides who owns files, they own it already, and `chown` may be refused.
    if folder.uid() == ROOT || folder.uid() == fs::metadata(path)?.uid() {
        return Ok(());
    }
    chown(path, Some(folder.uid()), Some(folder.gid()))
}

fn may_own(
    owner: u32,
    user: u32,
    folder_owner: Option<u32>,
    owner_of_new_file: impl FnOnce() -> Option<u32>,
) -> bool {
    owner == user
        || (folder_owner == Some(owner) && (user == ROOT || folder_owner == Some(ROOT)))
        || owner_of_new_file() == Some(owner)
}

/// Returns the owner of a file that this process creates in the folder of `path`.
fn owner_of_new_file(path: &Path) -> Option<u32> {
    let made = tempfile::tempfile_in(folder_of(path)).and_then(|file| file.metadata());
    made.ok().map(|file| file.uid())
}

fn owner_of_folder(path: &Path) -> Option<u32> {
    fs::metadata(folder_of(path)).ok().map(|folder| folder.uid())
}

/// Returns the folder of a path; for a bare name, the current folder.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| folder.as_os_str() != OsStr::new(""));
    folder.unwrap_or(Path::new("."))
}

/// Never suggests that root takes a file from its owner, who likely runs the service.
fn advice(path: &Path, owner: u32, user: u32) -> String {
    if user == ROOT {
        format!("run this as user {owner}")
    } else {
        format!("run it as the owner, or `chown {user} {}`", path.display())
    }
}

fn name(user: u32) -> String {
    if user == ROOT { "root".to_owned() } else { format!("the user with the id {user}") }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Unusable, may_own, owner_of_new_file};

    #[test]
    fn a_file_of_another_user_is_used_only_if_the_folder_says_so() {
        let (root, we, another) = (0, 1000, 1001);
        for (owner, user, folder, expected) in [
            (we, we, we, true),
            (we, we, another, true),
            (another, we, we, false),
            (another, we, another, false),
            (another, we, root, false),
            (root, we, we, false),
            (root, we, root, true),
            (root, root, root, true),
            (we, root, we, true),
            (we, root, root, false),
            (another, root, we, false),
        ] {
            let may = may_own(owner, user, Some(folder), || Some(user));
            assert_eq!(may, expected, "{owner}'s file for {user} in the folder of {folder}");
        }
        assert!(!may_own(another, we, None, || None));
    }

    #[test]
    fn a_mount_that_decides_who_owns_files_is_accepted() {
        let (root, we, squashed) = (0, 1000, 65_534);
        for (user, folder) in [(we, root), (we, we), (we, squashed), (root, root), (root, we)] {
            assert!(may_own(squashed, user, Some(folder), || Some(squashed)));
            assert!(!may_own(squashed, user, Some(folder), || Some(user)));
        }
        // No file is created in the folder to accept the user's own file.
        assert!(may_own(we, we, Some(root), || panic!("a file was created")));
    }

    #[test]
    fn a_new_file_belongs_to_this_user_on_a_disk_that_keeps_owners_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(owner_of_new_file(&folder.path().join("file")), Some(user));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        assert_eq!(owner_of_new_file(&folder.path().join("missing/file")), None);
    }

    #[test]
    fn root_is_not_advised_to_take_a_file_from_the_service() {
        let told = |owner, user| {
            Unusable::OfAnotherUser { path: PathBuf::from("/data/db"), owner, user }.to_string()
        };
        assert_eq!(
            told(1000, 0),
            "/data/db belongs to the user with the id 1000, but this program runs as root: run \
             this as user 1000"
        );
        assert_eq!(
            told(0, 1000),
            "/data/db belongs to root, but this program runs as the user with the id 1000: run it \
             as the owner, or `chown 1000 /data/db`"
        );
    }
}
