//! The program itself, run as an operator runs it.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::app::http_client;
use super::wire::head;
use super::{Actor, Answer};

/// How long a test waits for a program.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a test polls a service's health.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The first of the ports that the operating system does not assign by itself.
///
/// So no other test has been assigned one of them.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

/// The program with its environment, in its own folder.
pub(crate) struct Program {
    folder: TempDir,
    variables: Vec<(String, String)>,
    path: PathBuf,
    /// A shell command that is put in front of the program.
    prepared_by: Option<String>,
}

/// How a run of the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A service that runs as a program; it is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    stdout: Receiver<String>,
    log: Receiver<String>,
    seen: String,
    pub(crate) url: String,
    pub(crate) health_url: String,
}

impl Program {
    /// With `DATA_DIR`, two free ports, and nothing else in its environment.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data").to_str().unwrap().to_owned();
        let path = PathBuf::from(env!("CARGO_BIN_EXE_discogsography-api"));
        let program = Self { folder, variables: Vec::new(), path, prepared_by: None };
        let (api, health) = (free_port().to_string(), free_port().to_string());
        program.with("DATA_DIR", &data_dir).with("API_PORT", &api).with("API_HEALTH_PORT", &health)
    }

    /// Sets a variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Calls the program by another name, through a symbolic link.
    pub(crate) fn called(mut self, name: &str) -> Self {
        let link = self.folder.path().join(name);
        std::os::unix::fs::symlink(&self.path, &link).unwrap();
        self.path = link;
        self
    }

    /// Limits the number of the program's file descriptors.
    pub(crate) fn with_descriptors(self, limit: u32) -> Self {
        self.prepared_by(&format!("ulimit -n {limit} && exec"))
    }

    /// Runs the program from a shell by this command, as `exec` or `exec nice`.
    pub(crate) fn prepared_by(mut self, command: &str) -> Self {
        self.prepared_by = Some(command.to_owned());
        self
    }

    /// The folder in which the program runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of a file of the embedded store.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// Whether nothing was created on disk.
    pub(crate) fn left_nothing(&self) -> bool {
        std::fs::read_dir(self.folder()).unwrap().next().is_none()
    }

    /// A variable's value.
    pub(crate) fn variable(&self, name: &str) -> &str {
        let set = self.variables.iter().rev().find(|(set, _)| set == name);
        &set.unwrap().1
    }

    /// Runs a command and waits until it has ended.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_input(arguments, "")
    }

    /// Runs a command whose stdout is closed; returns its exit code and stderr.
    pub(crate) fn run_unread(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = self.command(arguments).stdin(Stdio::null()).stdout(writer).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }

    /// Runs a command with `input` on stdin.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let stdout = read_all(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        // A program that does not read its input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let (Ok(stdout), Ok(stderr)) =
            (stdout.recv_timeout(PATIENCE), stderr.recv_timeout(PATIENCE))
        else {
            child.kill().unwrap();
            panic!("{arguments:?} did not end");
        };
        Outcome { code: child.wait().unwrap().code(), stdout, stderr }
    }

    /// Runs a command with its stdout, which may be binary, written to a file.
    pub(crate) fn run_into(&self, arguments: &[&str], path: &Path) -> Outcome {
        let file = std::fs::File::create(path).unwrap();
        let mut child = self.command(arguments).stdin(Stdio::null()).stdout(file).spawn().unwrap();
        let stderr = read_all(child.stderr.take().unwrap());
        let Ok(stderr) = stderr.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("{arguments:?} did not end");
        };
        Outcome { code: child.wait().unwrap().code(), stdout: String::new(), stderr }
    }

    /// Runs a command with the content of a file on stdin.
    pub(crate) fn run_from(&self, arguments: &[&str], path: &Path) -> Outcome {
        let file = std::fs::File::open(path).unwrap();
        let child = self.command(arguments).stdin(file).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome {
            code: ended.status.code(),
            stdout: text(ended.stdout),
            stderr: text(ended.stderr),
        }
    }

    /// The sorted names of the embedded store's files, without SQLite's side files.
    pub(crate) fn data_names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.data("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let is_side_file = |name: &String| name.ends_with("-wal") || name.ends_with("-shm");
        let mut names: Vec<_> = names.filter(|name| !is_side_file(name)).collect();
        names.sort();
        names
    }

    /// Starts a service and waits until it is ready.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Service {
        let mut service = self.spawn(arguments);
        service.wait_until_ready();
        service
    }

    /// Starts a service that can't become ready, and waits until its log says why.
    pub(crate) fn start(&self, arguments: &[&str], reason: &str) -> Service {
        let mut service = self.spawn(arguments);
        service.wait_for_log(reason);
        service
    }

    fn spawn(&self, arguments: &[&str]) -> Service {
        let mut child = self.command(arguments).stdin(Stdio::null()).spawn().unwrap();
        let address = |port| format!("http://127.0.0.1:{}", self.variable(port));
        Service {
            stdout: read_all(child.stdout.take().unwrap()),
            log: read_lines(child.stderr.take().unwrap()),
            child,
            seen: String::new(),
            url: address("API_PORT"),
            health_url: address("API_HEALTH_PORT"),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = if let Some(prepared_by) = &self.prepared_by {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("{prepared_by} \"$0\" \"$@\"")]).arg(&self.path);
            shell
        } else {
            Command::new(&self.path)
        };
        command.args(arguments).current_dir(self.folder()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // A program built for coverage writes its data there.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Service {
    fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while !self.is_ready() {
            match self.log.recv_timeout(POLL_INTERVAL) {
                Ok(line) => self.seen += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("it has ended:\n{}", self.seen),
            }
            assert!(begun.elapsed() < PATIENCE, "it is not ready:\n{}", self.seen);
        }
    }

    fn is_ready(&self) -> bool {
        let mut answer = String::new();
        let asked = TcpStream::connect(self.health_url.trim_start_matches("http://")).and_then(
            |mut stream| {
                stream.write_all(head("GET", "/health/ready", &[]).as_bytes())?;
                stream.read_to_string(&mut answer)
            },
        );
        asked.is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    fn wait_for_log(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in the log:\n{}", self.seen));
            self.seen += &(line + "\n");
        }
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> Actor {
        Actor::new(http_client(), self.url.clone(), None)
    }

    /// Requests `/health` from the health port.
    pub(crate) async fn health(&self) -> Answer {
        Actor::new(http_client(), self.health_url.clone(), None).get("/health").await
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn send(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Whether it is still running.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal and waits until the service has ended.
    pub(crate) fn end(self, signal: &str) -> Outcome {
        self.send(signal);
        self.ended()
    }

    /// Waits until the service has ended.
    pub(crate) fn ended(mut self) -> Outcome {
        let stdout = self.stdout.recv_timeout(PATIENCE).expect("an end after the signal");
        for line in &self.log {
            self.seen += &(line + "\n");
        }
        let code = self.child.wait().unwrap().code();
        Outcome { code, stdout, stderr: std::mem::take(&mut self.seen) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a free port.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() * 61 % u32::from(PORTS)).unwrap();
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + first.wrapping_add(next) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        // The receiver may no longer exist.
        let _ = send.send(text);
    });
    receive
}

fn read_lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            // The receiver may no longer exist.
            let _ = send.send(line.unwrap());
        }
    });
    receive
}
