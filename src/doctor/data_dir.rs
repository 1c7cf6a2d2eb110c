//! Checks `DATA_DIR`: permissions, exposure to other users, file system, and free space.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use private_files::Exposure;
use rustix::fs::{Access, access, statfs, statvfs};
use sqlite_file::side_file;

use super::report::{Check, Finding, Measured};
use crate::config::EmbeddedStores;

/// Below this much free space, a warning: it may not last a busy hour.
const LITTLE: u64 = 256 * MEBIBYTE;
/// Below this much free space, an error.
const NEXT_TO_NOTHING: u64 = 16 * MEBIBYTE;
const MEBIBYTE: u64 = 1024 * 1024;

/// Network file systems and their magic numbers on Linux.
const NETWORK: [(u64, &str); 5] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0102_1997, "9P"),
];
const FUSE: u64 = 0x6573_5546;

/// Whether a disk has room for another file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Accepted,
    Refused,
}

pub(super) fn data_dir(stores: &EmbeddedStores) -> Vec<Finding> {
    let folder = &stores.data_dir;
    let mut findings = vec![usable(folder)];
    let kept = [stores.database(), stores.jwt_secret(), stores.master_key(), stores.lock()];
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

/// Checks that this user can create files in the folder or, if it is missing, the folder itself.
///
/// Creates nothing.
fn usable(folder: &Path) -> Finding {
    let shown = folder.display();
    let found = match fs::metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return missing(folder),
        Err(error) => {
            return Finding::error(
                Check::DataDir,
                format!("{} can't access DATA_DIR {shown}: {error}", user()),
                "Give the user of the service access to it and the folders above it, or run doctor \
                 as that user",
            );
        }
    };
    if !found.is_dir() {
        return Finding::error(
            Check::DataDir,
            format!("DATA_DIR {shown} is not a folder"),
            "Set DATA_DIR to a folder",
        );
    }
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::error(
            Check::DataDir,
            format!("{} can't write to DATA_DIR {shown}: {error}", user()),
            "Give it to the user of the service with `chown`, or set DATA_DIR to another folder; \
             if the disk became read-only, repair it first",
        );
    }
    if let Ok(Some(mode)) = private_files::mode_if_writable_by_others(folder) {
        return Finding::warning(
            Check::DataDir,
            format!("Other users can remove files from DATA_DIR {shown}: its mode is {mode:04o}"),
            format!("`chmod 700 {shown}`"),
        );
    }
    Finding::ok(Check::DataDir, format!("{} can write to DATA_DIR {shown}", user()))
}

fn missing(folder: &Path) -> Finding {
    let shown = folder.display();
    let above = nearest(folder);
    if let Err(error) = access(&above, Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::error(
            Check::DataDir,
            format!("DATA_DIR {shown} does not exist, and {} can't create it: {error}", user()),
            format!("Create it for the user of the service: `mkdir -p {shown}`"),
        );
    }
    Finding::note(
        Check::DataDir,
        format!("DATA_DIR {shown} does not exist yet"),
        "Nothing to do for a new installation: the first start creates it. Otherwise, DATA_DIR names \
         a different folder than before, or its disk is not mounted",
    )
}

/// Checks a file: other users must not be able to read it, and this user must be able to write it.
fn file(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let exposure = private_files::exposure(path).ok()?;
    if let Err(error) = private_files::check(path) {
        let fix = "Change the owner, or run doctor as the user of the service";
        return Some(Finding::error(Check::DataDir, error.to_string(), fix));
    }
    if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK) {
        return Some(Finding::error(
            Check::DataDir,
            format!("{} can't read and write {shown}: {error}", user()),
            "Give it to the user of the service with `chown`, or run doctor as that user",
        ));
    }
    match exposure {
        Exposure::None => None,
        Exposure::Sheltered(mode) => Some(Finding::note(
            Check::DataDir,
            format!("{shown} has the mode {mode:04o}, but a folder above it keeps other users out"),
            format!("To be sure: `chmod 600 {shown}`"),
        )),
        Exposure::Open(mode) => Some(Finding::warning(
            Check::DataDir,
            format!("Other users of this machine can read {shown}: its mode is {mode:04o}"),
            format!("`chmod 600 {shown}`"),
        )),
    }
}

fn room(folder: &Path) -> Option<Finding> {
    let disk = statvfs(nearest(folder)).ok()?;
    // Some file systems report zero if they do not limit the number of files.
    let files =
        if disk.f_files > 0 && disk.f_favail == 0 { Files::Refused } else { Files::Accepted };
    Some(room_of(disk.f_bavail.saturating_mul(disk.f_frsize), files, folder))
}

fn room_of(left: u64, files: Files, folder: &Path) -> Finding {
    let shown = folder.display();
    let what = format!("{} is left on the disk that holds DATA_DIR", in_words(left));
    let fix = format!("Free space on the disk of {shown}: `df -h {shown}`");
    let finding = if files == Files::Refused {
        Finding::error(
            Check::DiskSpace,
            "The disk that holds DATA_DIR has no room for another file",
            fix,
        )
    } else if left == 0 {
        Finding::error(Check::DiskSpace, "The disk that holds DATA_DIR is full: writes fail", fix)
    } else if left < NEXT_TO_NOTHING {
        Finding::error(Check::DiskSpace, format!("Only {what}: writes fail, or will soon"), fix)
    } else if left < LITTLE {
        Finding::warning(Check::DiskSpace, format!("Only {what}"), fix)
    } else {
        Finding::ok(Check::DiskSpace, what)
    };
    finding.measured(Measured::Bytes(left))
}

fn in_words(bytes: u64) -> String {
    let mebibytes = bytes / MEBIBYTE;
    if mebibytes < 10_240 {
        format!("{mebibytes} MiB")
    } else {
        format!("{} GiB", mebibytes / 1024)
    }
}

/// Returns the folder itself, or its nearest existing parent.
fn nearest(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let nearest = absolute.ancestors().find(|folder| folder.is_dir());
    nearest.unwrap_or(Path::new("/")).to_owned()
}

/// Returns the user that runs `doctor`: permissions depend on it.
fn user() -> String {
    let id = rustix::process::geteuid();
    if id.is_root() { "root".to_owned() } else { format!("User {}", id.as_raw()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::report::{Check, Measured, Severity};
    use super::{FUSE, Files, LITTLE, MEBIBYTE, NETWORK, NEXT_TO_NOTHING, file_system_of, room_of};

    #[test]
    fn an_unsuitable_file_system_is_reported() {
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
            (
                a_lot,
                Files::Accepted,
                Severity::Ok,
                "20 GiB is left on the disk that holds DATA_DIR",
            ),
            (
                LITTLE,
                Files::Accepted,
                Severity::Ok,
                "256 MiB is left on the disk that holds DATA_DIR",
            ),
            (
                LITTLE - 1,
                Files::Accepted,
                Severity::Warning,
                "Only 255 MiB is left on the disk that holds DATA_DIR",
            ),
            (
                NEXT_TO_NOTHING - 1,
                Files::Accepted,
                Severity::Error,
                "Only 15 MiB is left on the disk that holds DATA_DIR: writes fail, or will soon",
            ),
            (
                0,
                Files::Accepted,
                Severity::Error,
                "The disk that holds DATA_DIR is full: writes fail",
            ),
            (
                a_lot,
                Files::Refused,
                Severity::Error,
                "The disk that holds DATA_DIR has no room for another file",
            ),
        ] {
            let finding = room_of(left, files, Path::new("/data"));
            assert_eq!((finding.severity, finding.what.as_str()), (severity, what));
            assert_eq!(
                (finding.check, finding.measured),
                (Check::DiskSpace, Some(Measured::Bytes(left)))
            );
            let fix = "Free space on the disk of /data: `df -h /data`".to_owned();
            assert_eq!(finding.fix, (severity != Severity::Ok).then_some(fix));
        }
    }
}
