//! The command line as operators use it: commands, exit codes and output streams.
//!
//! [`serving`]: the command `serve`. [`starting`] and [`stopping`]: how it starts and stops.
//! [`keys`]: the command `keys`. [`backup`], [`lost`], [`owners`]: the embedded store's files. [`tokens`], [`users`]: the
//! commands `token` and `user`.

mod backup;
mod keys;
mod lost;
mod owners;
mod serving;
mod starting;
mod stopping;
mod tokens;
mod users;

use discogsography_api::migrations;

use crate::harness::{Outcome, PASSWORD, Program};

/// Asserts that a command succeeded and printed exactly this.
#[track_caller]
fn assert_printed(outcome: &Outcome, stdout: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), stdout), "{outcome:?}");
}

/// Asserts that a command failed with this code, this last line on stderr, and nothing on stdout.
#[track_caller]
fn assert_failed(outcome: &Outcome, code: i32, error: &str) {
    let last = outcome.stderr.lines().next_back();
    let actual = (outcome.code, outcome.stdout.as_str(), last);
    assert_eq!(actual, (Some(code), "", Some(error)), "{outcome:?}");
}

/// Every command that reads the configuration.
const CONFIGURED: [&[&str]; 13] = [
    &[],
    &["serve"],
    &["serve", "--sandbox"],
    &["migrate"],
    &["admin", "list"],
    &["user", "list"],
    &["keys", "status"],
    &["discogs-setup", "--show"],
    &["discogs-setup", "--consumer-key", "k", "--consumer-secret", "s"],
    &["token", "verify", "x"],
    &["backup", "copy.db"],
    &["restore", "-"],
    &["health"],
];

#[test]
fn an_invalid_configuration_is_reported_completely_and_opens_nothing() {
    let program = Program::new()
        .with("API_PORT", "eighty")
        .with("LOG_LEVEL", "LOUD")
        .with("JWT_SECRET_KEY_FILE", "/nowhere/secret");
    let message = "error: 3 problems with the configuration:\n  \
                - JWT_SECRET_KEY_FILE (not shown) can't be read: No such file or directory (os \
                error 2) (for example: /run/secrets/jwt_secret_key)\n  \
                - API_PORT `eighty` is not a port number from 1 to 65535 (for example: 8004)\n  \
                - LOG_LEVEL `LOUD` is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL, TRACE \
                (for example: INFO)\n\
                Every variable is described in docs/configuration.md.\n";
    for arguments in CONFIGURED {
        let outcome = program.run(arguments);
        let (stdout, stderr) = (String::new(), message.to_owned());
        assert_eq!(outcome, Outcome { code: Some(2), stdout, stderr }, "{arguments:?}");
        assert!(program.left_nothing(), "{arguments:?}");
    }
}

#[test]
fn an_incomplete_database_opens_nothing() {
    let program = Program::new().with("POSTGRES_HOST", "db.example.com");
    for arguments in CONFIGURED {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        for name in ["POSTGRES_HOST", "POSTGRES_DATABASE", "REDIS_URL", "JWT_SECRET_KEY"] {
            assert!(outcome.stderr.contains(name), "{name}: {outcome:?}");
        }
        assert!(program.left_nothing(), "{arguments:?}");
    }
}

#[test]
fn an_invalid_command_line_is_a_usage_error() {
    let program = Program::new();
    let usage_errors: [&[&str]; 23] = [
        &["frobnicate"],
        &["--sandbox", "admin"],
        &["serve", "--port", "80"],
        &["serve", "--sandbox-port", "8014"],
        &["serve", "--sandbox", "--sandbox-port", "65536"],
        &["sandbox", "--port", "x"],
        &["migrate", "now"],
        &["admin"],
        &["admin", "grant"],
        &["admin", "list", "x"],
        &["user"],
        &["user", "disable"],
        &["user", "list", "a", "b"],
        &["discogs-setup"],
        &["discogs-setup", "--consumer-key", "k"],
        &["discogs-setup", "--show", "--unset"],
        &["token"],
        &["token", "inspect"],
        &["token", "verify", "a", "b"],
        &["doctor", "--fix"],
        &["backup"],
        &["restore", "a.db", "b.db"],
        &["health", "--port"],
    ];
    for arguments in usage_errors {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(outcome.stderr.contains("--help"), "{outcome:?}");
        assert!(program.left_nothing(), "{arguments:?}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let program = Program::new();
    let wrong: [&[&str]; 10] = [
        &["discogs-setup", "s3cret"],
        &["discogs-setup", "--consumer-key", "k", "--consumer-secret", "-s3cret"],
        &["discogs-setup", "--consumer-key", "k", "--secret=s3cret"],
        &["discogs-setup", "--consumer-key", "k", "--consumer-secret", "a", "s3cret"],
        &["discogs-setup", "--show=s3cret"],
        &["token", "s3cret"],
        &["token", "verfy", "s3cret"],
        &["token", "verify", "x", "s3cret"],
        &["token", "inspect", "-s3cret"],
        &["token", "inspect", "x", "--json=s3cret"],
    ];
    for arguments in wrong {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
        assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
        assert!(outcome.stderr.contains("--help"), "{outcome:?}");
    }
}

/// Opening a FIFO must not block the start.
#[test]
fn a_fifo_as_a_secret_file_is_refused() {
    let program = Program::new();
    let fifo = program.folder().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let program = program
        .with("JWT_SECRET_KEY_FILE", fifo.to_str().unwrap())
        .with("SSL_CERT_FILE", fifo.to_str().unwrap());
    for arguments in [&["serve"][..], &["doctor"]] {
        let outcome = program.run(arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let output = [outcome.stdout, outcome.stderr].concat();
        assert!(output.contains("can't be read: it is a FIFO"), "{output}");
    }
}

/// Returns the commands that a help text lists, except `help` itself.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let program = Program::new().with("API_PORT", "help needs no configuration");
    let mut pending: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = Vec::new();
    while let Some(command) = pending.pop() {
        let mut arguments: Vec<_> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = program.run(&arguments);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{help:?}");
        let (_, example) =
            help.stdout.split_once("\nExample").unwrap_or_else(|| panic!("{help:?}"));
        let mut call = vec!["discogsography-api".to_owned()];
        call.extend(command.clone());
        assert!(example.contains(&call.join(" ")), "{example}");
        pending.extend(
            commands(&help.stdout).into_iter().map(|name| [&command[..], &[name]].concat()),
        );
        seen.push(command.join(" "));
    }
    for command in [
        "serve",
        "migrate",
        "admin grant",
        "discogs-setup",
        "doctor",
        "backup",
        "restore",
        "health",
    ] {
        assert!(seen.iter().any(|seen| seen == command), "{command}: {seen:?}");
    }
    assert!(program.left_nothing());
}

#[test]
fn migrate_lists_the_applied_migrations() {
    let program = Program::new();
    let migrated = program.run(&["migrate"]);
    let applied = migrations::SQLITE.iter().map(|migration| format!("Applied {migration}."));
    assert_eq!(migrated.stdout.lines().collect::<Vec<_>>(), applied.collect::<Vec<_>>());
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    assert_printed(&program.run(&["migrate"]), "The schema is up to date.\n");
}

#[test]
fn migrate_works_even_if_auto_migrate_is_off() {
    let program = Program::new().with("AUTO_MIGRATE", "off");
    let behind = program.run(&SETUP);
    assert_eq!((behind.code, behind.stdout.as_str()), (Some(1), ""), "{behind:?}");
    assert!(behind.stderr.contains("run `discogsography-api migrate`"), "{behind:?}");
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    assert_printed(&program.run(&["admin", "list"]), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_are_granted_while_a_service_runs() {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    let (zoe, amy) = (
        service.anonymous().register_and_sign_in("zoe@example.com").await,
        service.anonymous().register_and_sign_in("amy@example.com").await,
    );
    let no_admin = program.run(&["admin", "list"]);
    assert_printed(&no_admin, "");
    let hint = "No user is an admin. To make one: discogsography-api admin grant EMAIL";
    assert_eq!(no_admin.stderr.lines().next_back(), Some(hint));
    assert_eq!(zoe.get("/api/admin/config").await.status, 403);
    let granted = program.run(&["admin", "grant", " Zoe@Example.COM "]);
    assert_printed(&granted, "zoe@example.com is an admin now.\n");
    assert_eq!(zoe.get("/api/admin/config").await.status, 200);
    assert_eq!(program.run(&["admin", "grant", "amy@example.com"]).code, Some(0));
    assert_eq!(program.run(&["admin", "grant", "amy@example.com"]).code, Some(0));
    assert_printed(&program.run(&["admin", "list"]), "amy@example.com\nzoe@example.com\n");
    let revoked = program.run(&["admin", "revoke", "zoe@example.com"]);
    assert_printed(&revoked, "zoe@example.com is no longer an admin.\n");
    assert_eq!(zoe.get("/api/admin/config").await.status, 403);
    assert_eq!(amy.get("/api/admin/config").await.status, 200);
    assert_printed(&program.run(&["admin", "list"]), "amy@example.com\n");
}

#[test]
fn only_registered_users_become_admins() {
    let program = Program::new();
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    for word in ["grant", "revoke"] {
        let outcome = program.run(&["admin", word, "nobody@example.com"]);
        let error = "error: no user is registered as nobody@example.com: register first, then try \
                     again";
        assert_failed(&outcome, 1, error);
    }
}

const SETUP: [&str; 5] = ["discogs-setup", "--consumer-key", "key", "--consumer-secret", "secret"];
const SET: &str = "The Discogs app credentials are set. They take effect at once, also in \
                   services that are running on this store.\n";
const UNSET: &str = "The Discogs app credentials are removed.\n";
const WAS_NOT_SET: &str = "The Discogs app credentials were not set.\n";
const NOT_SET: &str = "discogs_consumer_key: not set\ndiscogs_consumer_secret: not set\n";

/// Returns what `--show` prints, without the times.
fn shown(program: &Program) -> Vec<String> {
    let outcome = program.run(&["discogs-setup", "--show"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let without_time = |line: &str| {
        let (shown, time) = line.split_once(" (since ").unwrap();
        assert_eq!(time.len(), "2026-01-31T09:30:00.000000+00:00)".len(), "{line}");
        shown.to_owned()
    };
    outcome.stdout.lines().map(without_time).collect()
}

#[test]
fn the_app_credentials_are_set_shown_and_removed() {
    let program = Program::new();
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    assert_printed(&program.run(&["discogs-setup", "--show"]), NOT_SET);
    let (key, secret) = ("a-consumer-key", "a-consumer-secret");
    let set = program.run(&["discogs-setup", "--consumer-key", key, "--consumer-secret", secret]);
    assert_printed(&set, SET);
    assert_eq!(
        shown(&program),
        ["discogs_consumer_key: a-**********ey", "discogs_consumer_secret: a-*************et"]
    );
    for output in [UNSET, WAS_NOT_SET] {
        assert_printed(&program.run(&["discogs-setup", "--unset"]), output);
        assert_printed(&program.run(&["discogs-setup", "--show"]), NOT_SET);
    }
}

#[test]
fn the_app_credentials_are_read_from_stdin() {
    let program = Program::new();
    let both = ["discogs-setup", "--consumer-key", "-", "--consumer-secret", "-"];
    let set = program.run_with_input(&both, "first-line-key\n  second-line-secret \r\n");
    assert_printed(&set, SET);
    let masked = "discogs_consumer_secret: se**************et";
    assert_eq!(shown(&program), ["discogs_consumer_key: fi**********ey", masked]);
    let secret_only = ["discogs-setup", "--consumer-key", "short", "--consumer-secret", "-"];
    assert_printed(&program.run_with_input(&secret_only, "without-line-break"), SET);
    let masked = "discogs_consumer_secret: wi**************ak";
    assert_eq!(shown(&program), ["discogs_consumer_key: *****", masked]);
}

#[test]
fn bad_app_credentials_are_a_usage_error_that_does_not_repeat_them() {
    let program = Program::new();
    let setup = |key, secret, input| {
        let arguments = ["discogs-setup", "--consumer-key", key, "--consumer-secret", secret];
        program.run_with_input(&arguments, input)
    };
    let long = "s3cret".repeat(50);
    let rule = "the value must be 1 to 256 visible ASCII characters";
    let bad_key = format!("error: --consumer-key: {rule}");
    let bad_secret = format!("error: --consumer-secret: {rule}");
    assert_failed(&setup("s3 cret", "fine", ""), 2, &bad_key);
    assert_failed(&setup("", "fine", ""), 2, &bad_key);
    assert_failed(&setup("-", "fine", "\n"), 2, &bad_key);
    assert_failed(&setup("fine", &long, ""), 2, &bad_secret);
    assert_failed(&setup("fine", "s3crät", ""), 2, &bad_secret);
    assert_failed(&setup("fine", "-", ""), 2, &bad_secret);
    assert_failed(&setup("-", "-", "only-one-line"), 2, &bad_secret);
    assert!(program.left_nothing());
}

#[test]
fn the_program_can_be_called_discogs_setup() {
    let program = Program::new().called("discogs-setup");
    let set = program.run(&["--consumer-key", "abcdefghi", "--consumer-secret", "abcdefgh"]);
    assert_printed(&set, SET);
    let masked = ["discogs_consumer_key: ab*****hi", "discogs_consumer_secret: ********"];
    let outcome = program.run(&["--show"]);
    for line in masked {
        assert!(outcome.stdout.contains(line), "{outcome:?}");
    }
    assert_printed(&program.run(&["--unset"]), UNSET);
    assert_printed(&program.run(&["--show"]), NOT_SET);
    assert_eq!(program.run(&["serve"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_credentials_take_effect_at_once_in_a_running_service() {
    let program = Program::new();
    let service = program.serve(&[]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    assert_eq!(alice.verify("state", "1234567890").await.status, 503);
    assert_eq!(program.run(&SETUP).code, Some(0));
    assert_eq!(alice.verify("state", "1234567890").await.status, 400);
    assert_eq!(program.run(&["discogs-setup", "--unset"]).code, Some(0));
    assert_eq!(alice.verify("state", "1234567890").await.status, 503);
    assert_eq!(alice.sign_in(&alice.email, PASSWORD).await.me().await.status, 200);
}

#[test]
fn a_reader_that_closes_the_pipe_causes_no_error() {
    let program = Program::new();
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    for arguments in [&["openapi"][..], &["admin", "list"], &["doctor", "--json"]] {
        let (code, stderr) = program.run_unread(arguments);
        let read = program.run(arguments);
        assert_eq!((code, stderr), (read.code, read.stderr), "{arguments:?}");
    }
}

/// Returns a shell command that runs a program but lets it start no threads.
fn without_threads() -> String {
    let limited = "exec prlimit --nproc=1";
    if !rustix::process::getuid().is_root() {
        return limited.to_owned();
    }
    // Root is exempt from the limit.
    let id = 100_000 + std::process::id();
    format!("{limited} setpriv --reuid {id} --regid {id} --clear-groups")
}

#[test]
fn a_thread_limit_is_reported_with_its_fix() {
    let outcome = Program::new().prepared_by(&without_threads()).run(&["serve"]);
    let error = "error: the operating system gives this program no more threads: a limit on \
                 processes is reached; raise it (Docker: `--pids-limit`, Kubernetes: \
                 `podPidsLimit`, systemd: `TasksMax`, a shell: `ulimit -u`) (Resource temporarily \
                 unavailable (os error 11))\n";
    let expected = Outcome { code: Some(1), stdout: String::new(), stderr: error.to_owned() };
    assert_eq!(outcome, expected);
}
