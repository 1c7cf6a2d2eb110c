//! The strength of secrets, their files, and that no output shows them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use discogs_sandbox::{Fault, Step};

use crate::harness::{Composition, PrivateRedis, Program, Setup, TestStores, on_both_setups};

use super::scene::{self, CONSUMER_KEY, CONSUMER_SECRET, JWT_SECRET, Scene};

on_both_setups! {
    a_weak_secret_is_found,
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

async fn a_weak_secret_is_found(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    let scene = scene.with("JWT_SECRET_KEY", "canary-short");
    let finding = scene.finding("jwt_secret", "warning");
    assert_eq!(finding["what"], "JWT_SECRET_KEY is shorter than 32 bytes and could be guessed");
    assert!(finding["fix"].as_str().unwrap().contains("`openssl rand -hex 32`"));
    let scene = scene.with("JWT_SECRET_KEY", &"canary".repeat(8));
    let what = "JWT_SECRET_KEY is long, but has only 5 different characters and could be guessed";
    assert_eq!(scene.finding("jwt_secret", "warning")["what"], what);
    let scene = scene.with("JWT_SECRET_KEY", "your-secret-key-here");
    scene.finding("jwt_secret", "error");
    let scene = scene.with("JWT_SECRET_KEY", JWT_SECRET);
    let scene =
        scene.with("JWT_SECRET_KEY_PREVIOUS", "canary-previous-0123456789abcdef,canary-old");
    let accepted = scene.finding("jwt_secret", "note");
    assert_eq!(accepted["what"], "Access tokens of several previous secrets are accepted");
    let weak = scene.finding("jwt_secret", "warning");
    let what = "JWT_SECRET_KEY_PREVIOUS entry 2 is shorter than 32 bytes and could be guessed";
    assert_eq!(weak["what"], what);
    assert!(weak["fix"].as_str().unwrap().starts_with("Remove it from JWT_SECRET_KEY_PREVIOUS"));
}

#[test]
fn a_generated_secret_is_inspected_and_not_changed() {
    let program = Program::new().with("DISCOGS_API_URL", "https://127.0.0.1:1");
    let run_doctor = || scene::report(&program.run(&["doctor", "--json"]));
    let path = program.data("jwt-secret");
    fs::create_dir(program.data("")).unwrap();
    for (content, severity) in [("", "error"), ("canary-short\n", "warning"), (JWT_SECRET, "ok")] {
        fs::write(&path, content).unwrap();
        scene::finding(&run_doctor(), "jwt_secret", severity);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    // First protected only by the test's folder, then readable by all users.
    set_mode(program.folder(), 0o700);
    set_mode(&path, 0o644);
    scene::finding(&run_doctor(), "data_dir", "note");
    set_mode(program.folder(), 0o755);
    set_mode(&program.data(""), 0o755);
    let finding = scene::finding(&run_doctor(), "data_dir", "warning");
    assert_eq!(finding["fix"], format!("`chmod 600 {}`", path.display()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    set_mode(&path, 0o600);
    set_mode(&program.data(""), 0o777);
    let finding = scene::finding(&run_doctor(), "data_dir", "warning");
    assert!(
        finding["what"].as_str().unwrap().starts_with("Other users can remove files from DATA_DIR")
    );
}

#[test]
fn a_secret_file_that_others_can_read_is_found() {
    let program = Program::new();
    let path = program.folder().join("jwt");
    fs::write(&path, JWT_SECRET).unwrap();
    let program = program
        .with("DISCOGS_API_URL", "https://127.0.0.1:1")
        .with("JWT_SECRET_KEY_FILE", path.to_str().unwrap());
    let run_doctor = || scene::report(&program.run(&["doctor", "--json"]));
    set_mode(&path, 0o600);
    scene::finding(&run_doctor(), "secret_files", "ok");
    set_mode(program.folder(), 0o700);
    set_mode(&path, 0o644);
    scene::finding(&run_doctor(), "secret_files", "note");
    set_mode(program.folder(), 0o755);
    let finding = scene::finding(&run_doctor(), "secret_files", "warning");
    let what =
        "Other users of this machine can read the file of JWT_SECRET_KEY_FILE: its mode is 0644";
    assert_eq!(finding["what"], what);
    assert_eq!(finding["fix"], format!("`chmod 600 {}`", path.display()));
    // The modes with which Kubernetes mounts it for `fsGroup`.
    for mode in [0o440, 0o640] {
        set_mode(&path, mode);
        scene::finding(&run_doctor(), "secret_files", "ok");
    }
    set_mode(&path, 0o660);
    scene::finding(&run_doctor(), "secret_files", "warning");
}

/// Returns stdout and stderr of the text report and of the JSON report.
fn all_output(program: &Program) -> String {
    let (pretty, json) = (program.run(&["doctor"]), program.run(&["doctor", "--json"]));
    [pretty.stdout, pretty.stderr, json.stdout, json.stderr].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn no_secret_is_printed_whatever_fails() {
    let redis = PrivateRedis::start().await;
    redis.command(&["config", "set", "requirepass", "canary-redis-password"]).await;
    let url = format!("redis://:canary-redis-password@{}/0", redis.address());
    let stores = TestStores::new(Composition::Servers).await;
    let mut scene = Scene::on(stores, Duration::ZERO, &[("REDIS_URL", &url)]).await;
    scene.finding("app_credentials", "ok");
    scene.finding("redis", "ok");
    let password = scene.program.variable("POSTGRES_PASSWORD").to_owned();
    let mut output = all_output(&scene.program);
    let fault = || Fault::plain(401, &format!("{CONSUMER_SECRET} is wrong"));
    (0..2).for_each(|_| scene.sandbox.order(Step::RequestToken, fault()));
    output += &all_output(&scene.program);
    for (name, value) in [
        ("REDIS_URL", url.replace("canary-redis", "canary-other").as_str()),
        ("POSTGRES_PASSWORD", "canary-other-password"),
        ("JWT_SECRET_KEY", "canary-short"),
        ("REDIS_URL", "http://:canary-redis-password@cache"),
        ("POSTGRES_ADDRESS", "digger:canary-address:db"),
    ] {
        scene = scene.with(name, value);
        output += &all_output(&scene.program);
    }
    assert!(output.contains("28P01") && output.contains("(not shown)"), "{output}");
    for secret in ["canary", JWT_SECRET, CONSUMER_KEY, CONSUMER_SECRET, &password] {
        assert!(!output.contains(secret), "{secret} is in {output}");
    }
}
