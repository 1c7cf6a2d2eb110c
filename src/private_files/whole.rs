//! Files that are made whole or not at all, on file systems of every kind.

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
use super::owner::{folder_of, give_to_owner_of_folder};

const ENDING: &str = ".half";

/// A half file that was not written to for this long is a leftover. No lock tells: on network file
/// systems it would keep SQLite from locking the file.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// A file that gets its name once it is whole; it is removed when this is dropped before.
#[derive(Debug)]
pub(crate) struct Half(NamedTempFile);

/// One way of giving a file a name that must be free.
type Way = fn(&Path, &Path) -> io::Result<()>;

/// The first way that the file system knows is taken.
const WAYS: [Way; 3] = [rename_without_replacing, link, rename_if_free];

impl Half {
    /// Makes an empty file in the folder of `path`, mode 0600.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let folder = folder_of(path);
        let made = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(ENDING)
            .permissions(Permissions::from_mode(FILE_MODE))
            .tempfile_in(folder)?;
        remove_left_behind(folder, &prefix, made.as_file());
        Ok(Self(made))
    }

    /// Where the file is until it has its name.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file, to be written to and read from.
    pub(crate) fn file(&mut self) -> &mut File {
        self.0.as_file_mut()
    }

    /// Gives it to the folder's owner; see [`give_to_owner_of_folder`].
    pub(crate) fn give_to_owner_of_folder(&self) -> io::Result<()> {
        give_to_owner_of_folder(self.path())
    }

    /// Gives it its name; [`ErrorKind::AlreadyExists`] if that is taken.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        give_name(self.path(), path, &WAYS)?;
        sync_folder(path)
    }

    /// Gives it its name, and takes that from the file that has it.
    pub(crate) fn replace(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        fs::rename(self.path(), path)?;
        sync_folder(path)
    }
}

/// Removes what killed processes left behind. The time is that of `new`, a file just made in the same
/// folder, since a file server has a clock of its own.
fn remove_left_behind(folder: &Path, prefix: &OsString, new: &File) {
    let now = new.metadata().and_then(|new| new.modified());
    let Some(limit) = now.ok().and_then(|now| now.checked_sub(LEFT_BEHIND_AFTER)) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_half =
            name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(ENDING.as_bytes());
        let is_left_behind =
            |file: Metadata| file.is_file() && file.modified().is_ok_and(|written| written < limit);
        if is_half && entry.metadata().is_ok_and(is_left_behind) {
            // If it can't be removed, the next backup or start tries again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn give_name(half: &Path, path: &Path, ways: &[Way]) -> io::Result<()> {
    let mut given = Err(ErrorKind::Unsupported.into());
    for way in ways {
        given = way(half, path);
        if !given.as_ref().is_err_and(is_not_known) {
            break;
        }
    }
    given
}

/// Whether the file system does not know this way. Some say that it is not permitted.
fn is_not_known(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::PERM]
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

fn rename_without_replacing(half: &Path, path: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, half, CWD, path, RenameFlags::NOREPLACE)?)
}

fn link(half: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(half, path)
}

/// In the instant between, another process may take the name; what it made is then replaced before
/// anything was kept in it.
fn rename_if_free(half: &Path, path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(half, path)
}

/// Has the name outlive a loss of power.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder_of(path))?.sync_all() {
        Err(error) if !is_not_known(&error) => Err(error),
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

    use super::{Half, LEFT_BEHIND_AFTER, WAYS, Way, give_name};

    const UNKNOWN: [Way; 5] = [
        |_, _| Err(Errno::PERM.into()),
        |_, _| Err(Errno::OPNOTSUPP.into()),
        |_, _| Err(Errno::INVAL.into()),
        |_, _| Err(Errno::NOSYS.into()),
        |_, _| Err(Errno::NOTSUP.into()),
    ];

    fn half_and_path(folder: &Path) -> (Half, std::path::PathBuf) {
        let path = folder.join("file");
        let mut half = Half::beside(&path).unwrap();
        half.file().write_all(b"new").unwrap();
        (half, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn every_way_gives_a_name_and_takes_none_away() {
        for number in 0..WAYS.len() {
            let folder = tempfile::tempdir().unwrap();
            let (half, path) = half_and_path(folder.path());
            // The ways before it are not known to this file system.
            let ways = [&UNKNOWN[..], &WAYS[number..]].concat();
            give_name(half.path(), &path, &ways).unwrap();
            drop(half);
            assert_eq!(fs::read(&path).unwrap(), b"new", "way {number}");
            assert_eq!(names(folder.path()), ["file"], "way {number}");

            fs::write(&path, "old").unwrap();
            let (half, path) = half_and_path(folder.path());
            let taken = give_name(half.path(), &path, &ways).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "way {number}");
            drop(half);
            assert_eq!(fs::read(&path).unwrap(), b"old", "way {number}");
            assert_eq!(names(folder.path()), ["file"], "way {number}");
        }
    }

    #[test]
    fn what_goes_wrong_on_a_way_that_is_known_is_told() {
        let full: Way = |_, _| Err(Errno::NOSPC.into());
        let given = give_name(Path::new("a"), Path::new("b"), &[UNKNOWN[0], full, WAYS[2]]);
        assert_eq!(given.unwrap_err().kind(), ErrorKind::StorageFull);
        let given = give_name(Path::new("a"), Path::new("b"), &UNKNOWN);
        assert_eq!(
            given.unwrap_err().raw_os_error(),
            io::Error::from(Errno::NOTSUP).raw_os_error()
        );
    }

    #[test]
    fn a_file_is_private_and_published_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (half, path) = half_and_path(folder.path());
        drop(half);
        assert_eq!(names(folder.path()), [""; 0]);
        let (half, _) = half_and_path(folder.path());
        half.publish(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let (half, _) = half_and_path(folder.path());
        assert_eq!(half.publish(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let (half, _) = half_and_path(folder.path());
        half.replace(&path).unwrap();
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn what_a_kill_left_behind_is_removed_and_what_is_in_use_is_not() {
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
        let first = Half::beside(&path).unwrap();
        let second = Half::beside(&path).unwrap();
        assert!(first.path().exists() && second.path().exists());
        drop((first, second));
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, ["another.half", "file.slow.half"]);
    }

    #[test]
    fn half_a_file_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let (half, _) = half_and_path(folder.path());
        File::open(half.path()).unwrap().try_lock().unwrap();
    }
}
