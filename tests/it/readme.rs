//! The README's first command and its story, run line by line as they stand there.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A service that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The blocks of commands in the README, in order.
fn blocks() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts what the first block says, on ports that are free.
fn start(first: &str, folder: &Path, api: u16, health: u16, sandbox: u16) -> Running {
    let words = first.trim().strip_prefix("cargo run --release -- ").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_discogsography-api"))
        .args(words.split(' '))
        .args(["--sandbox-port", &sandbox.to_string()])
        .env_clear()
        .env("API_PORT", api.to_string())
        .env("API_HEALTH_PORT", health.to_string())
        .current_dir(folder)
        .stderr(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_of_the_readme_works_line_by_line() {
    let blocks = blocks();
    let (first, story) = (&blocks[0], &blocks[1]);
    let folder = tempfile::tempdir().unwrap();
    let (api, health, sandbox) = (free_port(), free_port(), free_port());
    let _service = start(first, folder.path(), api, health, sandbox);
    let client = crate::harness::http_client();
    crate::harness::until_healthy(&client, &format!("http://127.0.0.1:{health}")).await;
    let story = story
        .replace("127.0.0.1:8004", &format!("127.0.0.1:{api}"))
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
