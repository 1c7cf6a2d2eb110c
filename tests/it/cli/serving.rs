//! `serve` and `health`: starting, running only once, health, and stopping.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use discogsography_api::telemetry::MARKS;
use serde_json::{Value, json};

use super::{NOT_SET, SET, assert_failed, assert_printed};
use crate::harness::wire::exchange;
use crate::harness::{PASSWORD, Program, free_port};

#[test]
fn a_sandbox_is_refused_beside_real_servers() {
    let discogs = Program::new().with("DISCOGS_API_URL", "https://api.discogs.com");
    let postgres = Program::new()
        .with("POSTGRES_ADDRESS", "db.example.com")
        .with("POSTGRES_USERNAME", "digger")
        .with("POSTGRES_PASSWORD", "p4ssword")
        .with("POSTGRES_DATABASE", "discogsography")
        .with("REDIS_URL", "redis://cache.example.com")
        .with("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    for (program, name) in [(discogs, "DISCOGS_API_URL"), (postgres, "POSTGRES_ADDRESS")] {
        let outcome = program.run(&["serve", "--sandbox"]);
        let error = format!(
            "error: --sandbox can't be used while {name} is set: unset it, or omit --sandbox"
        );
        assert_failed(&outcome, 2, &error);
        assert!(program.left_nothing());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_is_used_without_writing_to_the_store() {
    let program = Program::new();
    let port = free_port().to_string();
    let service = program.serve(&["serve", "--sandbox", "--sandbox-port", &port]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    let authorize = alice.authorize().await;
    assert_eq!(authorize.status, 200, "{authorize:?}");
    let url = authorize.json()["authorize_url"].as_str().unwrap().to_owned();
    let expected = format!("http://127.0.0.1:{port}/oauth/authorize?oauth_token=");
    assert!(url.starts_with(&expected), "{url}");
    assert_printed(&program.run(&["discogs-setup", "--show", "--sandbox"]), NOT_SET);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_has_its_own_store() {
    let program = Program::new();
    let port = free_port().to_string();
    let serve = ["--sandbox", "serve", "--sandbox-port", &port];
    let service = program.serve(&serve);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    let grant = ["admin", "grant", "alice@example.com"];
    assert_eq!(program.run(&grant).code, Some(1), "the real store has no such user");
    assert_eq!(program.run(&[&grant[..], &["--sandbox"]].concat()).code, Some(0));
    assert_eq!(alice.get("/api/admin/config").await.status, 200);

    let set = ["discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret"];
    assert_printed(&program.run(&set), SET);
    assert_printed(&program.run(&["discogs-setup", "--show", "--sandbox"]), NOT_SET);
    let set_in_sandbox = program.run(&[&["--sandbox"], &set[..]].concat());
    let output = "The Discogs app credentials are set in the sandbox's store, where nothing uses \
                them: `serve --sandbox` has its own.\n";
    assert_printed(&set_in_sandbox, output);
    let ended = service.end("TERM");
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("discogsography-api admin grant EMAIL --sandbox"), "{ended:?}");

    let service = program.serve(&["serve"]);
    let unknown = service.anonymous().login("alice@example.com", PASSWORD).await;
    assert_eq!(unknown.status, 401, "{unknown:?}");
    let token = alice.token.as_deref().unwrap();
    let refused = service.anonymous().with_token(token).me().await;
    assert_eq!(refused.status, 401, "the sandbox has its own signing secret");
    assert_eq!(service.end("TERM").code, Some(0));
    let service = program.serve(&serve);
    let alice = service.anonymous().sign_in("alice@example.com", PASSWORD).await;
    assert_eq!(alice.me().await.status, 200);
}

#[test]
fn the_sandbox_store_is_refused_beside_real_servers() {
    let program = Program::new().with("DISCOGS_API_URL", "https://api.discogs.com");
    let error = "error: --sandbox can't be used while DISCOGS_API_URL is set: unset it, or omit \
                 --sandbox";
    let commands: [&[&str]; 4] = [
        &["migrate", "--sandbox"],
        &["admin", "list", "--sandbox"],
        &["discogs-setup", "--show", "--sandbox"],
        &["doctor", "--sandbox"],
    ];
    for arguments in commands {
        assert_failed(&program.run(arguments), 2, error);
        assert!(program.left_nothing(), "{arguments:?}");
    }
}

#[test]
fn doctor_does_not_call_discogs_for_a_sandbox() {
    let program = Program::new();
    let port = free_port().to_string();
    drop(program.serve(&["serve", "--sandbox", "--sandbox-port", &port]));
    let outcome = program.run(&["doctor", "--sandbox", "--json"]);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((outcome.code, &report["severity"]), (Some(0), &json!("ok")), "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    let checks: Vec<_> = findings.iter().map(|finding| finding["check"].as_str()).collect();
    for check in ["discogs", "clock", "app_credentials"] {
        assert!(!checks.contains(&Some(check)), "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_service_logs_the_next_steps_until_they_are_done() {
    let (credentials, admin) = ("the app's credentials are not set", "There is no admin yet");
    let program = Program::new();
    let service = program.serve(&["serve"]);
    service.anonymous().register_and_sign_in("alice@example.com").await;
    let log = service.end("TERM").stderr;
    for expected in [credentials, admin, "serve --sandbox"] {
        assert!(log.contains(expected), "{log}");
    }

    program.run(&["admin", "grant", "alice@example.com"]);
    program.run(&["discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret"]);
    let log = program.serve(&["serve"]).end("TERM").stderr;
    assert!(!log.contains(credentials) && !log.contains(admin), "{log}");
}

#[test]
fn a_second_service_on_the_same_file_is_refused() {
    let program = Program::new();
    let first = program.serve(&["serve"]);
    let (api, health) = (free_port().to_string(), free_port().to_string());
    let data_dir = program.variable("DATA_DIR").to_owned();
    let second = Program::new()
        .with("DATA_DIR", &data_dir)
        .with("API_PORT", &api)
        .with("API_HEALTH_PORT", &health);
    let refused = format!(
        "error: another service runs on {data_dir}/discogsography.db: stop it, or use another \
         folder"
    );
    assert_failed(&second.run(&["serve"]), 1, &refused);
    assert_eq!(second.run(&["admin", "list"]).code, Some(0));
    assert_eq!(second.run(&["migrate"]).code, Some(0));
    assert_eq!(program.run(&["health"]).code, Some(0));
    assert_eq!(first.end("TERM").code, Some(0));
    assert_eq!(second.serve(&["serve"]).end("TERM").code, Some(0));
}

#[tokio::test]
async fn an_unknown_method_is_not_logged() {
    let service = Program::new().with("LOG_FORMAT", "json").serve(&["serve"]);
    let made_up = "A".repeat(70_000);
    for url in [&service.url, &service.health_url] {
        let request =
            format!("{made_up} /nope HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(exchange(url, request.as_bytes()).await.status, 404);
    }
    let defined = b"PATCH /nope HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(&service.url, defined).await.status, 404);
    let log = service.end("TERM").stderr;
    assert!(!log.contains("AAAA"), "{}", log.len());
    assert_eq!(log.matches(r#""http.method":"OTHER""#).count(), 2, "{log}");
    assert_eq!(log.matches(r#""http.method":"PATCH""#).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_prints_the_state_of_the_service() {
    let program = Program::new();
    let not_running = program.run(&["health"]);
    let error = format!(
        "error: no service answers at http://127.0.0.1:{}/health: Connection refused (os error \
         111)",
        program.variable("API_HEALTH_PORT")
    );
    assert_failed(&not_running, 1, &error);
    assert!(program.left_nothing());
    let service = program.serve(&["serve"]);
    let healthy = program.run(&["health"]);
    let health: Value = serde_json::from_str(&healthy.stdout).unwrap();
    let expected = json!({
        "service": "api",
        "status": "healthy",
        "timestamp": health["timestamp"],
        "checks": { "service": "ready", "database": "up", "state_store": "up" },
    });
    assert_eq!((healthy.code, health, healthy.stderr.as_str()), (Some(0), expected, ""));
    assert_eq!(service.health().await.status, 200);
    assert_eq!(service.end("TERM").code, Some(0));
    assert_failed(&program.run(&["health"]), 1, &error);
}

#[test]
fn health_fails_if_the_service_is_unhealthy() {
    let program = Program::new().with("AUTO_MIGRATE", "off");
    let service = program.start(&["serve"], "❌ The schema is behind and AUTO_MIGRATE is off");
    let unhealthy = program.run(&["health"]);
    let health: Value = serde_json::from_str(&unhealthy.stdout).unwrap();
    assert_eq!((unhealthy.code, &health["status"]), (Some(1), &json!("unhealthy")));
    let error = format!("error: the service at {}/health is not healthy\n", service.health_url);
    assert_eq!(unhealthy.stderr, error);
    assert_eq!(service.end("TERM").code, Some(0));
}

#[test]
fn health_fails_if_another_program_answers() {
    let program = Program::new();
    let port = program.variable("API_HEALTH_PORT").parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let other_program = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Closing the connection before reading the request would reset it.
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(b"SSH-2.0 200 ready\r\n\r\n").unwrap();
    });
    let outcome = program.run(&["health"]);
    other_program.join().unwrap();
    let error =
        format!("error: what answers at http://127.0.0.1:{port}/health is not this service");
    assert_failed(&outcome, 1, &error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_folder_is_reused() {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    let secret = fs::read_to_string(program.data("jwt-secret")).unwrap();
    assert_eq!(secret.trim().len(), 64, "256 bits in hex");
    assert_eq!(service.end("TERM").code, Some(0));
    let service = program.serve(&["serve"]);
    assert_eq!(fs::read_to_string(program.data("jwt-secret")).unwrap(), secret);
    assert_eq!(alice.me().await.status, 200);
    let alice = service.anonymous().sign_in("alice@example.com", PASSWORD).await;
    assert_eq!(alice.me().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_readable_only_by_their_owner() {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    service.anonymous().register_and_sign_in("alice@example.com").await;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut names = Vec::new();
    for entry in fs::read_dir(program.data("")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    for name in ["jwt-secret", "discogsography.db", "discogsography.db-wal"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    assert_eq!(mode(program.data("")), 0o700);
    drop(service);
}

#[test]
fn files_open_to_others_are_made_private() {
    let program = Program::new();
    drop(program.serve(&["serve"]));
    let files = [program.data("discogsography.db"), program.data("jwt-secret")];
    for file in &files {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let ended = program.serve(&["serve"]).end("TERM");
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let count = ended.stderr.matches("🔧 Other users could read a file").count();
    assert_eq!(count, 2, "{}", ended.stderr);
}

#[test]
fn a_stored_secret_that_is_weak_or_quoted_causes_a_warning() {
    let program = Program::new();
    fs::create_dir(program.data("")).unwrap();
    let path = program.data("jwt-secret");
    fs::write(&path, "\"too-short-a-secret\"").unwrap();
    // Needed because a secret without a database means that the database may be lost.
    let ended = program.serve(&["serve", "--new-database"]).end("TERM");
    let path = path.display();
    for warning in [
        format!("⚠️ {path} is shorter than 32 bytes and could be guessed"),
        format!(
            "⚠️ {path} holds a secret that begins and ends with a double quote and is used exactly like that"
        ),
    ] {
        assert!(ended.stderr.contains(&warning), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("too-short-a-secret"), "{}", ended.stderr);
}

#[test]
fn a_configured_secret_is_not_stored() {
    let program = Program::new().with("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
    assert!(!program.data("jwt-secret").exists());
}

#[test]
fn an_empty_secret_is_not_replaced() {
    let program = Program::new();
    fs::create_dir(program.data("")).unwrap();
    let path = program.data("jwt-secret");
    fs::write(&path, "\n").unwrap();
    let error = format!(
        "error: {} is empty: restore it, or remove it to have a new one created, which ends every \
         session",
        path.display()
    );
    assert_failed(&program.run(&["serve"]), 1, &error);
    assert_eq!(fs::read_to_string(&path).unwrap(), "\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_json_lines_without_secrets() {
    let program = Program::new().with("LOG_LEVEL", "TRACE");
    let service = program.serve(&["serve"]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    assert_eq!(service.anonymous().login("alice@example.com", "wr0ng-secret").await.status, 401);
    assert_eq!(
        service
            .anonymous()
            .send_body(reqwest::Method::POST, "/api/auth/login", "{wr0ng")
            .await
            .status,
        422
    );
    assert_eq!(alice.verify("st4te", "p1n").await.status, 503);
    assert_eq!(alice.get("/api/auth/me?token=s3cret").await.status, 200);
    let ended = service.end("TERM");
    assert_eq!(ended.stdout, "");
    let jwt_secret = fs::read_to_string(program.data("jwt-secret")).unwrap();
    let token = alice.token.unwrap();
    let secrets =
        [PASSWORD, "alice@", "wr0ng", "st4te", "p1n", "s3cret", &token, jwt_secret.trim()];
    for secret in secrets {
        assert!(!ended.stderr.contains(secret), "{secret} in:\n{}", ended.stderr);
    }
    let requests = ended.stderr.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let message = line["message"].as_str().unwrap();
        assert!(MARKS.iter().any(|mark| message.starts_with(mark)), "{message}");
        // The harness polls readiness an unknown number of times.
        let is_probe = line["http.route"] == "/health/ready";
        !is_probe && (message.starts_with("📊") || message.starts_with("⚠️"))
    });
    assert_eq!(requests.count(), 6);
}
