//! `keys`, and what the embedded store does with its key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{assert_failed, assert_printed};
use crate::harness::{Outcome, Program};

const SETUP: [&str; 5] =
    ["discogs-setup", "--consumer-key", "plain-consumer-key", "--consumer-secret", "plain-secret"];

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn status(program: &Program) -> serde_json::Value {
    let outcome = program.run(&["keys", "status", "--json"]);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"))
}

/// Returns a program whose credentials were set, and encrypted by a first start.
fn started() -> Program {
    let program = Program::new();
    assert_eq!(program.run(&SETUP).code, Some(0));
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
    program
}

/// Whether a text stands in any file of a folder.
fn stands_in(folder: &Path, text: &str) -> bool {
    let contains = |path: &Path| {
        fs::read(path).unwrap().windows(text.len()).any(|found| found == text.as_bytes())
    };
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).any(|path| contains(&path))
}

fn code_and_last_line(outcome: &Outcome) -> (Option<i32>, &str) {
    (outcome.code, outcome.stderr.lines().next_back().unwrap_or_default())
}

#[test]
fn each_generated_key_is_new_and_accepted() {
    let keys = [(); 2].map(|()| {
        let outcome = Program::new().run(&["keys", "generate"]);
        assert_eq!((outcome.code, outcome.stdout.len()), (Some(0), 45), "{outcome:?}");
        outcome.stdout.trim().to_owned()
    });
    assert_ne!(keys[0], keys[1]);
    let program = started().with("ENCRYPTION_MASTER_KEY", &keys[0]);
    let previous = fs::read_to_string(program.data("master-key")).unwrap();
    let program = program.with("ENCRYPTION_MASTER_KEY_PREVIOUS", &previous);
    assert_printed(&program.run(&["keys", "rotate"]), "Wrote 2 rows.\n");
}

#[test]
fn the_first_start_encrypts_what_was_stored_before() {
    let program = Program::new();
    assert_eq!(program.run(&SETUP).code, Some(0));
    assert!(stands_in(&program.data(""), "plain-secret"));
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
    let mode = fs::metadata(program.data("master-key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(program.run(&["backup", "copy.db"]).code, Some(0));
    for folder in [&program.data(""), program.folder()] {
        assert!(!stands_in(folder, "plain-"), "{}", folder.display());
    }
    let shown = program.run(&["discogs-setup", "--show"]).stdout;
    assert!(shown.starts_with("discogs_consumer_key: pl**************ey (since "), "{shown}");
    assert_eq!(
        status(&program)["plain_text_refused_in"],
        serde_json::json!(["oauth_tokens", "app_config", "users"])
    );
}

#[test]
fn a_start_without_the_key_is_unhealthy_until_it_is_back() {
    let program = started();
    let (file, kept) = (program.data("master-key"), program.folder().join("kept"));
    fs::rename(&file, &kept).unwrap();
    let reason = "app_config contains encrypted values, and there is no key";
    let service = program.start(&["serve"], reason);
    assert!(!file.exists(), "a new key would hide the loss");
    let outcome = program.run(&["keys", "status"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    drop(service);
    fs::rename(&kept, &file).unwrap();
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
}

#[test]
fn a_lost_key_is_replaced_after_its_secrets_were_cleared() {
    let program = started();
    fs::remove_file(program.data("master-key")).unwrap();
    let refused =
        "error: keys clear-unreadable asks for confirmation, which needs a terminal: add --yes";
    assert_failed(&program.run(&["keys", "clear-unreadable"]), 2, refused);
    let cleared = program.run(&["keys", "clear-unreadable", "--yes"]);
    let output = "oauth_tokens  0 deleted\napp_config    2 deleted\nusers         0 deleted\n";
    assert_printed(&cleared, output);
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
    assert!(program.data("master-key").exists());
}

#[test]
fn a_wrong_key_encrypts_nothing() {
    let program = started().with("ENCRYPTION_MASTER_KEY", KEY);
    for command in [&SETUP[..], &["keys", "encrypt"], &["keys", "rotate"], &["keys", "decrypt"]] {
        let outcome = program.run(command);
        let (code, line) = code_and_last_line(&outcome);
        assert_eq!(code, Some(1), "{outcome:?}");
        assert!(
            line.contains("no configured key decrypts the encrypted values of app_config"),
            "{line}"
        );
    }
}

#[test]
fn keys_are_decrypted_for_services_without_a_key() {
    let program = started();
    let counted = program.run(&["keys", "decrypt", "--dry-run"]);
    assert_printed(&counted, "Would write 2 rows.\n");
    assert_eq!(status(&program)["tables"][1]["current"], 2);
    assert_printed(&program.run(&["keys", "decrypt"]), "Wrote 2 rows.\n");
    assert_eq!(status(&program)["tables"][1]["plain"], 2);
    assert_printed(&program.run(&["keys", "encrypt"]), "Wrote 2 rows.\n");
    assert_eq!(status(&program)["tables"][1]["current"], 2);
}

#[test]
fn without_a_key_nothing_is_encrypted() {
    let program = Program::new();
    assert_eq!(program.run(&SETUP).code, Some(0));
    let error = "error: there is no key to encrypt with: set ENCRYPTION_MASTER_KEY to the output of \
                 `discogsography-api keys generate`";
    assert_failed(&program.run(&["keys", "encrypt"]), 1, error);
}

#[test]
fn a_weak_key_is_refused_unless_it_is_allowed() {
    let weak = || Program::new().with("ENCRYPTION_MASTER_KEY", "your-master-key-here");
    let refused = weak().run(&["keys", "status"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(
        refused.stderr.contains("ENCRYPTION_MASTER_KEY has fewer than 32 bytes"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("your-master"), "{refused:?}");
    let allowed = weak().with("ENCRYPTION_ALLOW_WEAK_KEY", "on");
    assert_eq!(allowed.run(&SETUP).code, Some(0));
    let shown = allowed.run(&["keys", "status"]);
    assert!(shown.stdout.starts_with("Current key    (weak)\n"), "{shown:?}");
}
