//! How `serve` starts: its log lines, and addresses that it can't listen on.

use std::net::TcpListener;

use serde_json::Value;

use super::{SET, SETUP, assert_failed, assert_printed};
use crate::harness::Program;

#[test]
fn a_port_in_use_is_named_by_its_variable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for name in ["API_PORT", "API_HEALTH_PORT"] {
        let program = Program::new().with(name, &port);
        let error = format!(
            "error: can't listen on 127.0.0.1:{port}: another program uses this port; stop it, or \
             set {name} to another port (Address already in use (os error 98))"
        );
        assert_failed(&program.run(&["serve"]), 1, &error);
        assert!(program.left_nothing());
    }
}

#[test]
fn a_port_of_the_sandbox_in_use_is_named_by_its_option() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for (arguments, option) in [
        (["serve", "--sandbox", "--sandbox-port", &port].as_slice(), "--sandbox-port"),
        (["sandbox", "--port", &port].as_slice(), "--port"),
    ] {
        let error = format!(
            "error: can't listen on 127.0.0.1:{port} for the sandbox: stop the program that uses \
             this port, or choose another one with {option}: Address already in use (os error 98)"
        );
        assert_failed(&Program::new().run(arguments), 1, &error);
    }
}

/// Uses an address reserved for documentation (RFC 5737), which no machine has.
#[test]
fn an_address_of_another_machine_is_not_reported_as_a_port_in_use() {
    let program = Program::new().with("API_HOST", "192.0.2.1");
    let error = format!(
        "error: can't listen on 192.0.2.1:{}: 192.0.2.1 is not an address of this machine; set \
         API_HOST to one of its addresses, or to 0.0.0.0 for all of them (Cannot assign requested \
         address (os error 99))",
        program.variable("API_PORT")
    );
    assert_failed(&program.run(&["serve"]), 1, &error);
    assert!(program.left_nothing());
}

#[test]
fn addresses_are_logged_once_the_service_is_ready() {
    let program = Program::new().with("LOG_FORMAT", "json");
    let log = program.serve(&["serve"]).end("TERM").stderr;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = |line: &Value| line["message"].as_str().unwrap().to_owned();
    let ready = lines.iter().position(|line| message(line) == "🚀 Ready").unwrap();
    assert!(lines[..ready].iter().all(|line| !line.to_string().contains("http://")), "{log}");
    assert_eq!(
        message(&lines[ready + 1]),
        "🔧 Stopping: finishing requests in progress, accepting no new ones"
    );
    let address = |port| format!("http://127.0.0.1:{}", program.variable(port));
    let (api, health) = (address("API_PORT"), address("API_HEALTH_PORT"));
    let fields = ["page", "docs", "api", "health"].map(|name| lines[ready][name].as_str().unwrap());
    assert_eq!(
        fields,
        [&format!("{api}/"), &format!("{api}/docs"), &api, &health].map(String::as_str)
    );
}

#[test]
fn commands_that_need_a_database_do_not_create_one() {
    let program = Program::new();
    for sandbox in [&[][..], &["--sandbox"]] {
        let store =
            if sandbox.is_empty() { "discogsography.db" } else { "sandbox/discogsography.db" };
        let missing = program.data(store).display().to_string();
        let error = format!("error: there is no database at {missing}: is DATA_DIR right?");
        for arguments in [
            &["user", "list"][..],
            &["user", "delete", "alice@example.com", "--yes"],
            &["admin", "list"],
            &["admin", "grant", "alice@example.com"],
            &["discogs-setup", "--show"],
            &["discogs-setup", "--unset"],
            &["backup", "copy.db"],
        ] {
            assert_failed(&program.run(&[arguments, sandbox].concat()), 1, &error);
            assert!(program.left_nothing(), "{arguments:?}");
        }
    }
    assert_printed(&program.run(&SETUP), SET);
    assert_eq!(program.run(&["user", "list"]).code, Some(0));
}
