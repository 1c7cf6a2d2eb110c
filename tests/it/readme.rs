//! The README's first command and its story, run line by line as they stand there.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Program, free_port};

/// The blocks of commands in the README, in order.
fn blocks() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_the_readme_works_line_by_line() {
    let blocks = blocks();
    let (first, story) = (&blocks[0], &blocks[1]);
    let sandbox = free_port().to_string();
    let words = first.trim().strip_prefix("cargo run --release -- ").unwrap().split(' ');
    let words: Vec<_> = words.chain(["--sandbox-port", &sandbox]).collect();
    let program = Program::new();
    let service = program.serve(&words);
    let story = story
        .replace("http://127.0.0.1:8004", &service.url)
        .replace("127.0.0.1:8014", &format!("127.0.0.1:{sandbox}"));
    let told = Command::new("bash").args(["-ec", &story]).output().unwrap();
    assert!(told.status.success(), "{told:?}");

    let answers: Vec<Value> = serde_json::Deserializer::from_slice(&told.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {told:?}"));
    let [registered, me, finished, status, revoked] = answers.as_slice() else {
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
}

#[test]
fn the_test_command_of_the_readme_is_there() {
    let command = blocks()[3].trim().to_owned();
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&command).exists(), "{command}");
}
