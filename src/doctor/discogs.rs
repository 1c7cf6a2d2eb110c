//! Checks Discogs: connection, clock difference, and the app's credentials.

use std::time::{Duration, Instant};

use url::Url;

use super::bounded::{SERVER, in_time};
use super::database::Credentials;
use super::keys;
use super::reach::Server;
use super::report::{Check, Finding, Measured, Severity};
use super::tls;
use crate::config::DiscogsConfig;
use crate::discogs::{Discogs, DiscogsError};
use crate::metrics::Metrics;
use crate::surroundings::Surroundings;
use crate::telemetry::chain;
use crate::tls::fault;

/// The timeout of a first request; connecting has a separate limit.
const GREETING: Duration = Duration::from_millis(2_400);

/// The timeout of the request for a token.
const ANSWER: Duration = Duration::from_millis(4_500);

/// The largest harmless clock difference, in seconds.
const FINE: u64 = 10;

/// The clock difference, in seconds, from which Discogs may refuse signed requests.
///
/// See RFC 5849 section 3.3.
const TOO_FAR: u64 = 300;

const SETUP: &str = "`discogsography-api discogs-setup --consumer-key KEY --consumer-secret -`";

/// The client; `None` if Discogs can't be reached.
pub(super) type Way = Option<Discogs>;

/// Connects and sends a request without credentials.
pub(super) async fn discogs(
    config: &DiscogsConfig,
    surroundings: &Surroundings,
) -> (Vec<Finding>, Way) {
    let Surroundings { clock, random, .. } = surroundings;
    let closed = |finding| (vec![finding], None);
    let address = Url::parse(&config.api_url)
        .ok()
        .and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    let address = address.unwrap_or_default();
    let server = Server {
        address: &address,
        name: "Discogs",
        variable: "DISCOGS_API_URL",
        check: Check::Discogs,
    };
    // Behind a proxy, the service connects only to the proxy.
    if config.proxy.is_none()
        && let Err(finding) = server.reach().await
    {
        return closed(finding);
    }
    let discogs = Discogs::new(config.clone(), clock.clone(), random.clone(), Metrics::new());
    let discogs = match discogs {
        Ok(discogs) => discogs,
        Err(error) => {
            return closed(Finding::error(
                Check::Discogs,
                format!("TLS can't be set up on this machine: {}", chain(&error)),
                "Install the root certificates: the package ca-certificates",
            ));
        }
    };
    let sent = Instant::now();
    match discogs.probe(GREETING).await {
        Ok(probe) => {
            let milliseconds = sent.elapsed().as_secs_f64() * 1000.0;
            let answered = match &probe.answer {
                Ok(()) => {
                    let what = format!("{} answered in {milliseconds:.0} ms", config.api_url);
                    Finding::ok(Check::Discogs, what).measured(Measured::Milliseconds(milliseconds))
                }
                Err(error) => failed(Check::Discogs, error, &config.api_url),
            };
            let way = probe.answer.is_ok().then_some(discogs);
            (vec![answered, clock_beside(probe.ahead)], way)
        }
        Err(error) => closed(failed(Check::Discogs, &error, &config.api_url)),
    }
}

/// Requests a token, which is discarded.
pub(super) async fn credentials(way: Way, credentials: Credentials) -> Finding {
    let what = (Check::AppCredentials, "the app's credentials");
    in_time(SERVER, asked(way, credentials), |finding| finding, what).await
}

async fn asked(way: Way, credentials: Credentials) -> Finding {
    let not_set = |what| {
        let what = format!("{what}: users can't connect Discogs");
        let fix = format!(
            "Copy them from https://www.discogs.com/settings/developers and set them: {SETUP}"
        );
        Finding::warning(Check::AppCredentials, what, fix)
    };
    let consumer = match credentials {
        Credentials::Set(consumer) => consumer,
        Credentials::NotSet => return not_set("The app's credentials are not set"),
        Credentials::Half => {
            return not_set("Only one of the app's consumer key and secret is set");
        }
        Credentials::Unreadable(why) => return keys::unreadable(why),
        Credentials::Unknown => {
            return not_asked("The app's credentials are in the database, which could not be read");
        }
    };
    let Some(discogs) = way else {
        return not_asked(
            "The app's credentials are set, but Discogs could not be reached to check them",
        );
    };
    match discogs.request_token(&consumer, Instant::now() + ANSWER).await {
        Ok(_) => Finding::ok(Check::AppCredentials, "Discogs accepts the app's credentials"),
        Err(error) => failed(Check::AppCredentials, &error, "Discogs"),
    }
}

/// Adds a fix for operators who only use the sandbox.
pub(super) fn suggest_sandbox(finding: &mut Finding) {
    if (finding.check, finding.severity) == (Check::Discogs, Severity::Error)
        && let Some(fix) = &mut finding.fix
    {
        fix.push_str(". If you only use the sandbox, run `discogsography-api doctor --sandbox`");
    }
}

fn not_asked(what: &str) -> Finding {
    Finding::note(Check::AppCredentials, what, "Fix the errors above, then run doctor again")
}

/// Reports why a call to Discogs failed.
fn failed(check: Check, error: &DiscogsError, asked: &str) -> Finding {
    match error {
        DiscogsError::CredentialsRejected { status, .. } => Finding::error(
            check,
            format!("Discogs refuses the app's credentials (status {status})"),
            format!(
                "If the clock above is right, compare key and secret with \
                 https://www.discogs.com/settings/developers and set them again: {SETUP}"
            ),
        ),
        DiscogsError::RateLimited { retry_after } => Finding::warning(
            check,
            format!("Discogs has limited this address: retry after {} s", retry_after.as_secs()),
            "Wait, then run doctor again; other programs behind the same address count too",
        ),
        DiscogsError::Blocked { status, .. } => Finding::error(
            check,
            format!("A page in front of Discogs blocks this machine (status {status})"),
            "Set DISCOGS_USER_AGENT to a name of your own with an address; if that does not help, \
             the address of this machine is blocked: ask Discogs, or use HTTPS_PROXY",
        ),
        DiscogsError::Unavailable { source, .. } => {
            let source = source.as_ref().map(|source| source as &(dyn std::error::Error + 'static));
            if let Some(fault) = source.and_then(fault::behind) {
                let what = format!("No TLS with {asked}: {fault}");
                return Finding::error(check, what, tls::fix_discogs(fault.kind));
            }
            let fix = "If https://www.discogs.com works elsewhere, check HTTPS_PROXY and firewalls; \
                        otherwise wait: pending flows are kept";
            Finding::error(check, format!("{asked} does not answer: {}", chain(error)), fix)
        }
        DiscogsError::VerifierRejected { .. } => {
            Finding::error(check, chain(error), "Run doctor again")
        }
    }
}

/// Reports the clock difference, which matters to signed requests and access tokens.
fn clock_beside(ahead: Option<i64>) -> Finding {
    let Some(seconds) = ahead else {
        let what = "Discogs did not send its time, so the clock was not checked";
        return Finding::note(Check::Clock, what, "Check it yourself: `date --utc`");
    };
    let distance = seconds.unsigned_abs();
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let fix = "Set the clock of this machine right and keep it so: `timedatectl set-ntp true`";
    let what = format!("The clock of this machine is {distance} s {side} that of Discogs");
    let finding = match distance {
        0..FINE => {
            let what = format!("The clock is correct: it differs from Discogs's by {distance} s");
            Finding::ok(Check::Clock, what)
        }
        FINE..TOO_FAR => {
            let what = format!("{what}; from {TOO_FAR} s on it may refuse signed requests");
            Finding::warning(Check::Clock, what, fix)
        }
        _ => Finding::error(
            Check::Clock,
            format!(
                "{what}: it may refuse signed requests, and access tokens expire at the wrong time"
            ),
            fix,
        ),
    };
    finding.measured(Measured::Seconds(seconds))
}
