//! Servers that send terminal control sequences or long text: it is escaped and truncated.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::harness::{Program, free_port};

/// Clears the screen, sets a title, fakes a line of the report, and reverses the text direction.
const CONTROL_SEQUENCES: &str = "\x1b[2J\x1b]0;title\x07\u{9b}31m\nok   all is well\r\u{202e}";

/// Returns an error response of PostgreSQL's protocol, version 3.
fn error_response(code: &str, message: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0C{code}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}

/// Starts a server that answers everything with the same bytes, and returns its address.
fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let respond = move |mut stream: TcpStream| {
        let mut request = [0; 4096];
        while matches!(stream.read(&mut request), Ok(1..)) && stream.write_all(&answer).is_ok() {}
    };
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn({
                let respond = respond.clone();
                move || respond(stream)
            });
        }
    });
    address
}

fn program(postgres: &str, redis: &str) -> Program {
    let nowhere = format!("https://127.0.0.1:{}", free_port());
    Program::new()
        .with("POSTGRES_ADDRESS", postgres)
        .with("POSTGRES_USERNAME", "tester")
        .with("POSTGRES_PASSWORD", "a-password-of-a-role")
        .with("POSTGRES_DATABASE", "tests")
        .with("REDIS_URL", &format!("redis://{redis}/0"))
        .with("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef")
        .with("DISCOGS_API_URL", &nowhere)
}

#[test]
fn text_of_a_hostile_server_is_escaped_and_truncated() {
    let message = format!("{CONTROL_SEQUENCES}{}", "x".repeat(1_000_000));
    let postgres = server(error_response("XX000", &message));
    let redis = server(format!("-E\x1b[2J{} no\r\n", "x".repeat(100_000)).into_bytes());
    let program = program(&postgres, &redis);
    for command in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["admin", "list"],
        &["migrate"],
        &["discogs-setup", "--show"],
    ] {
        let outcome = program.run(command);
        assert_eq!(outcome.code, Some(1), "{command:?}");
        let output = outcome.stdout + &outcome.stderr;
        let unescaped =
            output.chars().find(|it| it.is_control() && *it != '\n' || *it == '\u{202e}');
        assert_eq!(unescaped, None, "{command:?} prints {output}");
        assert!(output.len() < 20_000, "{command:?} prints {} bytes", output.len());
        assert!(!output.contains("\nok   all is well"), "{command:?} prints {output}");
    }
}

#[test]
fn log_lines_with_text_of_a_hostile_server_are_short() {
    let postgres = server(error_response("XX000", &"x".repeat(1_000_000)));
    let service = program(&postgres, "127.0.0.1:1").start(&[], "The database is not ready");
    let log = service.end("TERM").stderr;
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 2_000, "{longest}");
}
