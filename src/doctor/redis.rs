//! Redis: there, signed in to, doing what a step needs, and keeping what it was given.

use std::time::{Duration, Instant};

use super::inspect::ServerInfo;
use super::reach::Server;
use super::report::{Check, Finding, Measured, Severity};
use super::tls;
use crate::config::RedisConfig;
use crate::expiring::{Expiring as _, ExpiringError, RedisRecords};
use crate::{flows, rate_limits};

/// The first with the scripts' commands that we use.
const OLDEST: u32 = 6;

const WAY: tls::Store = tls::Store { address: "REDIS_URL", roots: "REDIS_SSLROOTCERT" };

pub(super) async fn redis(config: &RedisConfig) -> Vec<Finding> {
    let address = config.address();
    let server = Server {
        address: &address,
        name: "Redis",
        variable: "REDIS_URL (or REDIS_HOST)",
        check: Check::Redis,
    };
    if let Err(finding) = server.reach().await {
        return vec![finding];
    }
    let (states, limits) = match records(config) {
        Ok(records) => records,
        Err(error) => return vec![refused(&error)],
    };
    // The first answer has waited for the connection and for the script.
    let first = states.ping().await;
    let asked = Instant::now();
    let pinged = if first.is_ok() { states.ping().await } else { first };
    let latency = asked.elapsed();
    let info = states.info().await.ok().map(|answer| ServerInfo::parse(&answer));
    let mut findings: Vec<_> = info.iter().flat_map(writes).collect();
    match pinged {
        Ok(()) => {
            findings.push(answered(&address, info.as_ref(), latency));
            findings.extend(limits.ping().await.err().map(|error| no_limits(&error)));
        }
        Err(_) if findings.iter().any(|finding| finding.severity == Severity::Error) => {}
        Err(error) => findings.push(refused(&error)),
    }
    let is_reached = info.is_some() || findings.iter().any(|it| it.severity == Severity::Ok);
    findings.extend(is_reached.then(|| info.as_ref().map_or_else(unknown_memory, memory)));
    findings
}

/// The flows under way, and the counts of requests.
fn records(config: &RedisConfig) -> Result<(RedisRecords, RedisRecords), ExpiringError> {
    let flows = RedisRecords::new(config, flows::REDIS_PREFIX)?;
    Ok((flows, RedisRecords::new(config, rate_limits::REDIS_PREFIX)?))
}

fn answered(address: &str, info: Option<&ServerInfo>, latency: Duration) -> Finding {
    let milliseconds = latency.as_secs_f64() * 1000.0;
    let version = info.map_or_else(String::new, |info| format!(" {}", info.version));
    let what =
        format!("Redis{version} at {address} does all that is needed, in {milliseconds:.1} ms");
    Finding::ok(Check::Redis, what).measured(Measured::Milliseconds(milliseconds))
}

fn refused(error: &ExpiringError) -> Finding {
    let said = error.to_string();
    let fix = tls::fix_store(error, &WAY).unwrap_or_else(|| fix_refusal(&said).to_owned());
    let what = format!("Redis can't be used, so nobody can connect Discogs: {said}");
    Finding::error(Check::Redis, what, fix)
}

/// Each replica then counts by itself.
fn no_limits(error: &ExpiringError) -> Finding {
    let what = format!("Request limits can't be shared by all replicas: {error}");
    Finding::warning(Check::Redis, what, fix_refusal(&error.to_string()))
}

fn unknown_memory() -> Finding {
    Finding::note(
        Check::RedisMemory,
        "Redis does not say how it uses its memory: its user may not run INFO",
        "Compare it yourself: maxmemory-policy should be noeviction",
    )
}

/// Of a server's message only its code is known, since the rest may repeat what was sent.
fn fix_refusal(error: &str) -> &'static str {
    let has = |codes: &[&str]| codes.iter().any(|code| error.contains(code));
    if has(&["WRONGPASS", "NOAUTH", "AuthenticationFailed"]) {
        "Correct the user and password in REDIS_URL, or REDIS_PASSWORD: `redis://USER:PASSWORD@HOST:6379/0`"
    } else if has(&["NOPERM", "unknown command"]) {
        "Let the user of REDIS_URL run GET, SET, DEL, TIME, EVAL, EVALSHA and SCRIPT LOAD on keys \
         that begin with discogs: (`acl setuser NAME ~discogs:* +@read +@write +@scripting +time`)"
    } else if has(&["database number"]) {
        "Correct the number at the end of REDIS_URL: most servers have the databases 0 to 15, some \
         only 0"
    } else if has(&["READONLY"]) {
        "Point REDIS_URL to the primary, or promote this one: `redis-cli replicaof no one`"
    } else if has(&["OOM"]) {
        "Give it more memory: `redis-cli config set maxmemory 256mb`; or remove what others keep there"
    } else if has(&["MISCONF"]) {
        "Make room on its disk, and check its log: it can't save its data, so it refuses writes"
    } else if has(&["LOADING"]) {
        "Wait: Redis is reading its data"
    } else if has(&["CROSSSLOT", "MOVED", "CLUSTERDOWN"]) {
        "Use a Redis that keeps all keys on one server: Redis Cluster and sharded Redis are not supported"
    } else if has(&["ERR"]) {
        "Check the log of Redis: it refuses a script or a command, which some hosted services disable"
    } else {
        "Check the log of Redis; if it wants TLS, REDIS_URL begins with rediss://"
    }
}

/// What keeps it from taking writes.
fn writes(info: &ServerInfo) -> Vec<Finding> {
    let major = info.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let mut findings = Vec::new();
    if major.is_some_and(|major| major < OLDEST) {
        findings.push(Finding::error(
            Check::Redis,
            format!("Redis {} is older than {OLDEST}.0", info.version),
            format!("Upgrade it to {OLDEST}.0 or newer"),
        ));
    }
    if info.is_replica {
        findings.push(Finding::error(
            Check::Redis,
            "Redis is a replica and takes no writes: nobody can connect Discogs",
            "Point REDIS_URL to the primary, or promote this one: `redis-cli replicaof no one`",
        ));
    }
    if info.has_failed_to_save {
        findings.push(Finding::warning(
            Check::Redis,
            "Redis could not save its data to disk the last time, and may refuse writes",
            "Make room on its disk, and look at its log",
        ));
    }
    findings
}

/// Whether it drops flows under way, or refuses new ones, when its memory is full.
fn memory(info: &ServerInfo) -> Finding {
    let policy = &info.eviction;
    let fix = "`redis-cli config set maxmemory-policy noeviction`, and the same in redis.conf";
    match info.most_memory {
        Some(most) if info.evicts() => Finding::warning(
            Check::RedisMemory,
            format!(
                "maxmemory-policy is {policy}: with its {most} bytes full, Redis drops flows \
                 under way and counts of requests"
            ),
            fix,
        ),
        None if info.evicts() => Finding::warning(
            Check::RedisMemory,
            format!(
                "maxmemory-policy is {policy}: as soon as somebody sets maxmemory, Redis drops \
                 flows under way and counts of requests"
            ),
            fix,
        ),
        Some(most) if info.memory >= most => Finding::error(
            Check::RedisMemory,
            format!("Redis is full: {} bytes of {most}", info.memory),
            "Give it more: `redis-cli config set maxmemory 256mb`; or remove what others keep there",
        ),
        Some(_) | None => Finding::ok(Check::RedisMemory, "Redis keeps keys until their time"),
    }
}
