//! `DATA_DIR`: whether the service can use it, who else can, and how much room is left.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::report::{Check, Finding, Measured};
use crate::config::EmbeddedStores;
use crate::private_files::{self, Exposure};
use crate::sqlite::side_file;

/// With less, the next busy hour may not fit.
const LITTLE: u64 = 256 * MEBIBYTE;
const NEXT_TO_NOTHING: u64 = 16 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

/// The bits of a folder's mode that let others take its files away.
const CHANGED_BY_OTHERS: u32 = 0o022;

/// Whether a disk takes one more file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Taken,
    Refused,
}

pub(super) fn look(stores: &EmbeddedStores) -> Vec<Finding> {
    let folder = &stores.data_dir;
    let mut findings = vec![usable(folder)];
    let kept = [stores.database(), stores.jwt_secret(), stores.lock()];
    let beside = ["-wal", "-shm"].map(|ending| side_file(&stores.database(), ending));
    findings.extend(kept.into_iter().chain(beside).filter_map(|path| file(&path)));
    findings.extend(room(folder));
    findings
}

/// Whether files can be made in the folder, or the folder itself, without making any.
fn usable(folder: &Path) -> Finding {
    let shown = folder.display();
    let found = match fs::metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return missing(folder),
        Err(error) => {
            return Finding::error(
                Check::DataDir,
                format!("DATA_DIR {shown} can't be reached by {}: {error}", user()),
                "Give it, and the right to pass through the folders above it, to the user of the \
                 service; or run this as that user",
            );
        }
    };
    if !found.is_dir() {
        return Finding::error(
            Check::DataDir,
            format!("DATA_DIR {shown} is no folder"),
            "Set DATA_DIR to a folder",
        );
    }
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::error(
            Check::DataDir,
            format!("DATA_DIR {shown} can't be written to by {}: {error}", user()),
            "Give it to the user of the service, or set DATA_DIR to another folder; if the disk \
             turned read-only, mend it first",
        );
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & CHANGED_BY_OTHERS != 0 {
        return Finding::warning(
            Check::DataDir,
            format!("Others can take files out of DATA_DIR {shown}: its mode is {mode:04o}"),
            format!("`chmod 700 {shown}`"),
        );
    }
    Finding::ok(Check::DataDir, format!("DATA_DIR {shown} can be written to by {}", user()))
}

fn missing(folder: &Path) -> Finding {
    let shown = folder.display();
    let above = nearest(folder);
    if let Err(error) = access(&above, Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::error(
            Check::DataDir,
            format!("DATA_DIR {shown} is not there, and can't be made by {}: {error}", user()),
            format!("Make it, and give it to the user of the service: `mkdir -p {shown}`"),
        );
    }
    Finding::note(
        Check::DataDir,
        format!("DATA_DIR {shown} is not there yet"),
        "Nothing to do if this is new: the first start makes it. Otherwise DATA_DIR is another folder \
         than before, or was not mounted",
    )
}

/// A file that is there: who else can read it, and whether we can write it.
fn file(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let exposure = private_files::exposure(path).ok()?;
    if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK) {
        return Some(Finding::error(
            Check::DataDir,
            format!("{shown} can't be read and written by {}: {error}", user()),
            "Give it to the user of the service with `chown`, or run this as that user",
        ));
    }
    match exposure {
        Exposure::None => None,
        Exposure::Sheltered(mode) => Some(Finding::note(
            Check::DataDir,
            format!("{shown} has the mode {mode:04o}, but a folder above keeps others out"),
            format!("To be sure: `chmod 600 {shown}`"),
        )),
        Exposure::Open(mode) => Some(Finding::warning(
            Check::DataDir,
            format!("Others on this machine can read {shown}: its mode is {mode:04o}"),
            format!("`chmod 600 {shown}`"),
        )),
    }
}

fn room(folder: &Path) -> Option<Finding> {
    let disk = statvfs(nearest(folder)).ok()?;
    // Some file systems do not count their files: none of none is no shortage.
    let files = if disk.f_files > 0 && disk.f_favail == 0 { Files::Refused } else { Files::Taken };
    Some(room_of(disk.f_bavail.saturating_mul(disk.f_frsize), files, folder))
}

fn room_of(left: u64, files: Files, folder: &Path) -> Finding {
    let shown = folder.display();
    let what = format!("{} left on the disk of DATA_DIR", megabytes(left));
    let mend = format!("Make room on the disk of {shown}: `df -h {shown}`");
    let finding = if files == Files::Refused {
        Finding::error(Check::DiskSpace, "The disk of DATA_DIR takes no more files", mend)
    } else if left < NEXT_TO_NOTHING {
        Finding::error(Check::DiskSpace, format!("Only {what}: writes fail, or soon will"), mend)
    } else if left < LITTLE {
        Finding::warning(Check::DiskSpace, format!("Only {what}"), mend)
    } else {
        Finding::ok(Check::DiskSpace, what)
    };
    finding.measured(Measured::Bytes(left))
}

fn megabytes(bytes: u64) -> String {
    let mebibytes = bytes / MEBIBYTE;
    if mebibytes < 10_240 {
        format!("{mebibytes} MiB are")
    } else {
        format!("{} GiB are", mebibytes / 1024)
    }
}

/// The folder itself, or the next one above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let nearest = absolute.ancestors().find(|folder| folder.is_dir());
    nearest.unwrap_or(Path::new("/")).to_owned()
}

/// Who asks: what is refused to one user may be allowed to another.
fn user() -> String {
    let id = rustix::process::geteuid();
    if id.is_root() { "root".to_owned() } else { format!("the user with the id {}", id.as_raw()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::report::{Check, Measured, Severity};
    use super::{Files, LITTLE, MEBIBYTE, NEXT_TO_NOTHING, room_of};

    #[test]
    fn a_disk_that_fills_up_is_found_before_writes_fail() {
        let a_lot = 20 * 1024 * MEBIBYTE;
        for (left, files, severity, what) in [
            (a_lot, Files::Taken, Severity::Ok, "20 GiB are left on the disk of DATA_DIR"),
            (LITTLE, Files::Taken, Severity::Ok, "256 MiB are left on the disk of DATA_DIR"),
            (
                LITTLE - 1,
                Files::Taken,
                Severity::Warning,
                "Only 255 MiB are left on the disk of DATA_DIR",
            ),
            (
                NEXT_TO_NOTHING - 1,
                Files::Taken,
                Severity::Error,
                "Only 15 MiB are left on the disk of DATA_DIR: writes fail, or soon will",
            ),
            (a_lot, Files::Refused, Severity::Error, "The disk of DATA_DIR takes no more files"),
        ] {
            let finding = room_of(left, files, Path::new("/data"));
            assert_eq!((finding.severity, finding.what.as_str()), (severity, what));
            assert_eq!(
                (finding.check, finding.measured),
                (Check::DiskSpace, Some(Measured::Bytes(left)))
            );
            let mend = "Make room on the disk of /data: `df -h /data`".to_owned();
            assert_eq!(finding.mend, (severity != Severity::Ok).then_some(mend));
        }
    }
}
