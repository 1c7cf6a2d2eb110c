//! Every family with its name and what it means, in the order in which they are shown.
//!
//! docs/metrics.md says the same at more length; a test holds the two together.

use super::Metrics;
use super::process::Process;
use super::routes::{Answers, Durations};
use super::text::{Info, Reading, Text, Total};

/// A name of ours.
macro_rules! ours {
    ($name:literal) => {
        concat!("discogsography_", $name)
    };
}

impl Metrics {
    /// All that was counted, in Prometheus's text format.
    ///
    /// How many lines the log has dropped is known to the log alone.
    #[must_use]
    pub fn to_text(&self, log_lines_dropped: u64) -> String {
        let mut text = Text::default();
        self.write_http(&mut text);
        self.write_sign_ins(&mut text);
        self.write_discogs(&mut text);
        self.write_stores(&mut text);
        write_process(&mut text, log_lines_dropped);
        text.finish()
    }

    fn write_http(&self, text: &mut Text) {
        let routes = self.routes();
        text.family(ours!("http_requests_total"), "Requests.", &Answers(&routes));
        text.family(
            ours!("http_request_duration_seconds"),
            "From the head of a request to its answer.",
            &Durations(&routes),
        );
        text.family(
            ours!("http_connections"),
            "Connections of clients that are open.",
            &self.http_connections,
        );
        text.family(
            ours!("connections_closed_for_room_total"),
            "Connections of clients that were closed because there were as many as may be.",
            &self.connections_closed_for_room,
        );
        text.family(
            ours!("connections_turned_away_total"),
            "Connections of clients that were told to come again while all others were at work.",
            &self.connections_turned_away,
        );
    }

    fn write_sign_ins(&self, text: &mut Text) {
        text.family(ours!("sign_ins_total"), "Sign-ins by how they ended.", &self.sign_ins);
        text.family(
            ours!("password_queue_length"),
            "Passwords that wait for a worker.",
            &self.password_queue_length,
        );
        text.family(
            ours!("password_wait_seconds"),
            "How long passwords waited for a worker.",
            &self.password_waits,
        );
        text.family(
            ours!("password_hash_seconds"),
            "How long passwords were hashed for, several at once.",
            &self.password_hashes,
        );
        text.family(
            ours!("rate_limited_total"),
            "Requests that a limit turned away.",
            &self.rate_limited,
        );
    }

    fn write_discogs(&self, text: &mut Text) {
        text.family(
            ours!("discogs_requests_total"),
            "Requests to Discogs by what came of them.",
            &self.discogs_requests,
        );
        text.family(
            ours!("discogs_request_duration_seconds"),
            "How long requests to Discogs took.",
            &self.discogs_durations,
        );
        text.family(
            ours!("discogs_rate_remaining"),
            "How many requests Discogs said are left, last time.",
            &self.discogs_rate_remaining,
        );
    }

    fn write_stores(&self, text: &mut Text) {
        text.family(
            ours!("store_up"),
            "Whether a store answered the last check: 1 or 0.",
            &self.stores_up,
        );
        text.family(
            ours!("storage_errors_total"),
            "What the database was asked for and did not do.",
            &self.storage_errors,
        );
        text.family(
            ours!("state_store_errors_total"),
            "What the state store was asked for and did not do.",
            &self.state_store_errors,
        );
        text.family(
            ours!("postgres_connections"),
            "Connections to PostgreSQL that are up.",
            &self.postgres_connections,
        );
        text.family(
            ours!("postgres_lost_connections_total"),
            "Connections to PostgreSQL that were up and were lost.",
            &self.postgres_lost_connections,
        );
    }
}

fn write_process(text: &mut Text, log_lines_dropped: u64) {
    let dropped = Total(log_lines_dropped);
    text.family(
        ours!("log_lines_dropped_total"),
        "Lines that the log had no room for, or that could not be written.",
        &dropped,
    );
    let version = Info("version", env!("CARGO_PKG_VERSION"));
    text.family(ours!("build_info"), "Always 1.", &version);
    let process = Process::read();
    text.family(
        "process_start_time_seconds",
        "When the process started, in seconds since the epoch.",
        &Reading(process.start_time),
    );
    text.family(
        "process_resident_memory_bytes",
        "Memory that the process has.",
        &Reading(process.resident_memory),
    );
    text.family(
        "process_open_fds",
        "File descriptors that the process has open.",
        &Reading(process.open_fds),
    );
}
