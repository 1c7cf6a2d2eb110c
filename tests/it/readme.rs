//! The README's first command and its walkthrough, run line by line.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Program, free_port};

/// Returns the README's command blocks, in order.
fn blocks() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_the_readme_works_line_by_line() {
    assert_story(&told_in("bash").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_the_readme_works_in_other_shells() {
    for shell in ["dash", "zsh"] {
        if let Some(answers) = told_in(shell) {
            assert_story(&answers);
        }
    }
}

/// An interactive zsh runs a comment as a command.
#[test]
fn the_story_of_the_readme_can_be_pasted() {
    let story = story();
    assert!(!story.contains('#') && !story.contains("\n\n"), "{story}");
}

/// Returns the blocks that call the API, in order.
fn story() -> String {
    blocks().into_iter().filter(|block| block.contains("$API")).collect()
}

/// Returns the service's answers when `shell` runs them; `None` without this shell.
fn told_in(shell: &str) -> Option<Vec<Value>> {
    let sandbox = free_port().to_string();
    let first = &blocks()[0];
    let words = first.trim().strip_prefix("cargo run --release -- ").unwrap().split(' ');
    let words: Vec<_> = words.chain(["--sandbox-port", &sandbox]).collect();
    let program = Program::new();
    let service = program.serve(&words);
    let commands = format!("'{}' ", env!("CARGO_BIN_EXE_discogsography-api"));
    let story = story()
        .replace("http://127.0.0.1:8004", &service.url)
        .replace("127.0.0.1:8014", &format!("127.0.0.1:{sandbox}"))
        .replace("cargo run --release -- ", &commands)
        .replace(" --sandbox\n", " --sandbox >&2\n");
    let mut command = Command::new(shell);
    command.args(["-ec", &story]).env("DATA_DIR", program.variable("DATA_DIR"));
    let told = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        told => told.unwrap(),
    };
    assert!(told.status.success(), "{shell}: {told:?}");
    let answers = serde_json::Deserializer::from_slice(&told.stdout).into_iter();
    let answers = answers.collect::<Result<_, _>>();
    Some(answers.unwrap_or_else(|error| panic!("{shell}: {error}: {told:?}")))
}

fn assert_story(answers: &[Value]) {
    let [registered, me, finished, status, revoked, config] = answers else {
        panic!("{answers:?}")
    };
    assert_eq!(registered, me);
    assert_eq!(registered["email"], "digger@example.com");
    let connected = json!({
        "connected": true,
        "discogs_username": "sandbox_digger",
        "discogs_user_id": "1001",
    });
    assert_eq!(finished, &connected);
    assert_eq!(status["discogs_username"], "sandbox_digger");
    assert_eq!(revoked, &json!({ "revoked": true }));
    let unset = |key| json!({ "key": key, "is_set": false, "value": null, "updated_at": null });
    let keys = ["discogs_consumer_key", "discogs_consumer_secret"].map(unset);
    assert_eq!(config, &json!({ "config": keys }));
}

#[test]
fn the_test_command_of_the_readme_is_there() {
    let command = blocks().last().unwrap().trim().to_owned();
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&command).exists(), "{command}");
}
