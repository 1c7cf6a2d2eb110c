//! Files that belong to another user, or are not regular files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::assert_failed;
use crate::harness::Program;

/// The id of another user.
const ANOTHER: u32 = 65_534;

type Make = fn(&Path);

/// Creates something other than a regular file; with its name in messages.
const NOT_FILES: [(Make, &str); 2] = [(make_fifo, "a FIFO"), (make_folder, "a directory")];

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn make_folder(path: &Path) {
    fs::create_dir(path).unwrap();
}

#[test]
fn a_path_that_is_not_a_regular_file_is_refused_at_once() {
    for (make, kind) in NOT_FILES {
        for name in ["jwt-secret", "discogsography.lock"] {
            let program = Program::new();
            drop(program.serve(&["serve"]));
            let path = program.data(name);
            fs::remove_file(&path).unwrap();
            make(&path);
            let error =
                format!("error: {} is {kind}, not a regular file: move it away", path.display());
            assert_failed(&program.run(&["serve"]), 1, &error);
        }
    }
}

#[test]
fn a_database_that_is_not_a_regular_file_is_reported_and_kept() {
    for (make, kind) in NOT_FILES {
        for name in ["discogsography.db", "discogsography.db-wal", "discogsography.db-journal"] {
            let program = Program::new();
            drop(program.serve(&["serve"]));
            let path = program.data(name);
            // It may not exist.
            let _ = fs::remove_file(&path);
            make(&path);
            let message = format!("{} is {kind}, not a regular file: move it away", path.display());
            let error = format!("error: the database is unavailable: {message}");
            assert_failed(&program.run(&["migrate"]), 1, &error);
            assert_failed(&program.run(&["backup", "copy.db"]), 1, &format!("error: {message}"));
            let service = program.start(&["serve"], &message);
            assert_eq!(service.end("TERM").code, Some(0));
        }
    }
}

#[test]
fn files_of_another_user_are_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can change a file's owner; `crates/private-files` tests the rule itself.
        return;
    }
    let message = |path: &Path| {
        format!(
            "{path} belongs to the user with the id {ANOTHER}, but this program runs as root: run \
             this as user {ANOTHER}",
            path = path.display()
        )
    };
    let program = Program::new();
    drop(program.serve(&["serve"]));
    for name in ["jwt-secret", "discogsography.lock"] {
        let path = program.data(name);
        chown(&path, Some(ANOTHER), None).unwrap();
        assert_failed(&program.run(&["serve"]), 1, &format!("error: {}", message(&path)));
        chown(&path, Some(0), None).unwrap();
    }
    for name in ["discogsography.db", "discogsography.db-wal", "discogsography.db-journal"] {
        let path = program.data(name);
        fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        chown(&path, Some(ANOTHER), None).unwrap();
        let error = format!("error: the database is unavailable: {}", message(&path));
        assert_failed(&program.run(&["admin", "list"]), 1, &error);
        let service = program.start(&["serve"], &message(&path));
        assert_eq!(service.end("TERM").code, Some(0));
        chown(&path, Some(0), None).unwrap();
    }
}

#[test]
fn files_that_root_creates_belong_to_the_owner_of_the_folder() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let program = Program::new();
    fs::create_dir(program.data("")).unwrap();
    chown(program.data(""), Some(ANOTHER), Some(ANOTHER)).unwrap();
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    drop(program.serve(&["serve"]));
    let port = crate::harness::free_port().to_string();
    drop(program.serve(&["serve", "--sandbox", "--sandbox-port", &port]));
    let copy = program.folder().join("copy.db");
    assert_eq!(program.run(&["backup", copy.to_str().unwrap()]).code, Some(0));
    assert_eq!(program.run(&["restore", copy.to_str().unwrap()]).code, Some(0));
    for folder in [program.data(""), program.data("sandbox")] {
        assert_eq!(fs::metadata(&folder).unwrap().uid(), ANOTHER);
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().uid(), ANOTHER, "{entry:?}");
        }
    }
    assert_eq!(fs::metadata(copy).unwrap().uid(), 0, "a backup belongs to the user who made it");
}

#[test]
fn a_folder_that_others_can_write_to_causes_one_warning() {
    let warning = "⚠️ Others can make and remove files in DATA_DIR";
    for (mode, count) in [(0o700, 0), (0o755, 0), (0o777, 1), (0o770, 1), (0o1777, 1)] {
        let program = Program::new();
        fs::create_dir(program.data("")).unwrap();
        fs::set_permissions(program.data(""), fs::Permissions::from_mode(mode)).unwrap();
        let log = program.serve(&["serve"]).end("TERM").stderr;
        assert_eq!(log.matches(warning).count(), count, "{mode:o}: {log}");
    }
}
