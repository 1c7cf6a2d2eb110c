//! `DATA_DIR`: whether the service can use it, who else can, and how much room is left.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use private_files::Exposure;
use rustix::fs::{Access, access, statfs, statvfs};
use sqlite_file::side_file;

use super::report::{Check, Finding, Measured};
use crate::config::EmbeddedStores;

/// With less, the next busy hour may not fit.
const LITTLE: u64 = 256 * MEBIBYTE;
const NEXT_TO_NOTHING: u64 = 16 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

/// File systems that other machines write to as well, by the numbers that Linux gives them.
const NETWORK: [(u64, &str); 5] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0102_1997, "9P"),
];
const FUSE: u64 = 0x6573_5546;

/// Whether a disk takes one more file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Taken,
    Refused,
}

pub(super) fn data_dir(stores: &EmbeddedStores) -> Vec<Finding> {
    let folder = &stores.data_dir;
    let mut findings = vec![usable(folder)];
    let kept = [stores.database(), stores.jwt_secret(), stores.lock()];
    let beside = ["-wal", "-shm"].map(|ending| side_file(&stores.database(), ending));
    findings.extend(kept.into_iter().chain(beside).filter_map(|path| file(&path)));
    findings.extend(file_system(folder));
    findings.extend(room(folder));
    findings
}

fn file_system(folder: &Path) -> Option<Finding> {
    let found = statfs(nearest(folder)).ok()?;
    file_system_of(u64::try_from(found.f_type).ok()?, folder)
}

fn file_system_of(kind: u64, folder: &Path) -> Option<Finding> {
    let shown = folder.display();
    if kind == FUSE {
        return Some(Finding::note(
            Check::DataDir,
            format!("DATA_DIR {shown} is on a FUSE file system, which may lack shared memory"),
            "Nothing to do if the service works; else set DATA_DIR to a folder on a local disk",
        ));
    }
    let (_, name) = NETWORK.iter().find(|(number, _)| *number == kind)?;
    Some(Finding::warning(
        Check::DataDir,
        format!("DATA_DIR {shown} is on a network file system ({name}), where locks may fail"),
        "Set DATA_DIR to a folder on a local disk",
    ))
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
             turned read-only, repair it first",
        );
    }
    if let Ok(Some(mode)) = private_files::changed_by_others(folder) {
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
    if let Err(error) = private_files::check(path) {
        let fix = "Change the owner, or run this as the service's user";
        return Some(Finding::error(Check::DataDir, error.to_string(), fix));
    }
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
    let fix = format!("Make room on the disk of {shown}: `df -h {shown}`");
    let finding = if files == Files::Refused {
        Finding::error(Check::DiskSpace, "The disk of DATA_DIR takes no more files", fix)
    } else if left == 0 {
        Finding::error(Check::DiskSpace, "The disk of DATA_DIR is full: writes fail", fix)
    } else if left < NEXT_TO_NOTHING {
        Finding::error(Check::DiskSpace, format!("Only {what}: writes fail, or soon will"), fix)
    } else if left < LITTLE {
        Finding::warning(Check::DiskSpace, format!("Only {what}"), fix)
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
    use super::{FUSE, Files, LITTLE, MEBIBYTE, NETWORK, NEXT_TO_NOTHING, file_system_of, room_of};

    #[test]
    fn a_file_system_that_may_not_do_is_named() {
        let found = |kind| file_system_of(kind, Path::new("/data")).map(|found| found.severity);
        for (kind, name) in NETWORK {
            assert_eq!(found(kind), Some(Severity::Warning), "{name}");
        }
        assert_eq!(found(FUSE), Some(Severity::Note));
        // ext4, tmpfs, XFS, Btrfs, overlayfs, ZFS, exFAT
        for kind in
            [0xEF53, 0x0102_1994, 0x5846_5342, 0x9123_683E, 0x794C_7630, 0x2FC1_2FC1, 0x2011_BAB0]
        {
            assert_eq!(found(kind), None, "{kind:x}");
        }
    }

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
            (0, Files::Taken, Severity::Error, "The disk of DATA_DIR is full: writes fail"),
            (a_lot, Files::Refused, Severity::Error, "The disk of DATA_DIR takes no more files"),
        ] {
            let finding = room_of(left, files, Path::new("/data"));
            assert_eq!((finding.severity, finding.what.as_str()), (severity, what));
            assert_eq!(
                (finding.check, finding.measured),
                (Check::DiskSpace, Some(Measured::Bytes(left)))
            );
            let fix = "Make room on the disk of /data: `df -h /data`".to_owned();
            assert_eq!(finding.fix, (severity != Severity::Ok).then_some(fix));
        }
    }
}
