//! Checks Redis: connection, sign-in, the scripts that the service runs, and memory.

use std::time::{Duration, Instant};

use super::inspect::{PythonKeys, ServerInfo, python_keys};
use super::reach::Server;
use super::report::{Check, Finding, Measured, Severity};
use super::tls;
use crate::config::RedisConfig;
use crate::expiring::{Expiring as _, ExpiringError, RedisRecords};
use crate::{flows, rate_limits};

/// The oldest major version that supports the scripts' commands.
const OLDEST: u32 = 6;

const VARIABLES: tls::Store = tls::Store { address: "REDIS_URL", roots: "REDIS_SSLROOTCERT" };

pub(super) async fn redis(config: &RedisConfig) -> Vec<Finding> {
    let address = config.address();
    if let Err(finding) = server(&address).reach().await {
        return vec![finding];
    }
    let (states, limits) = match records(config) {
        Ok(records) => records,
        Err(error) => return vec![refused(&error)],
    };
    // The first response includes the time to connect and to load the script.
    let first = states.ping().await;
    let asked = Instant::now();
    let pinged = if first.is_ok() { states.ping().await } else { first };
    let latency = asked.elapsed();
    let info = states.info().await.ok().map(|answer| ServerInfo::parse(&answer));
    let mut findings: Vec<_> = info.iter().flat_map(writes).collect();
    match pinged {
        Ok(()) => {
            findings.push(answered(&address, info.as_ref(), latency));
            findings.extend(limits.ping().await.err().map(|error| limits_not_shared(&error)));
        }
        Err(_) if findings.iter().any(|finding| finding.severity == Severity::Error) => {}
        Err(error) => findings.push(refused(&error)),
    }
    let is_reached = info.is_some() || findings.iter().any(|it| it.severity == Severity::Ok);
    findings.extend(is_reached.then(|| info.as_ref().map_or_else(unknown_memory, memory)));
    findings
}

fn server(address: &str) -> Server<'_> {
    Server { address, name: "Redis", variable: "REDIS_URL (or REDIS_HOST)", check: Check::Redis }
}

/// Checks Redis without running a script, and counts the keys of a Python service.
pub(super) async fn read_only(config: &RedisConfig) -> (Vec<Finding>, Option<PythonKeys>) {
    let address = config.address();
    if let Err(finding) = server(&address).reach().await {
        return (vec![finding], None);
    }
    let asked = Instant::now();
    let keys = match python_keys(config).await {
        Ok(keys) => keys,
        Err(error) => return (vec![refused(&error)], None),
    };
    let latency = asked.elapsed();
    let info = match RedisRecords::new(config, flows::REDIS_PREFIX) {
        Ok(records) => records.info().await.ok().map(|answer| ServerInfo::parse(&answer)),
        Err(_) => None,
    };
    let mut findings: Vec<_> = info.iter().flat_map(writes).collect();
    findings.push(answered(&address, info.as_ref(), latency));
    findings.push(info.as_ref().map_or_else(unknown_memory, memory));
    (findings, Some(keys))
}

/// Opens the records of pending flows, and the request counts.
fn records(config: &RedisConfig) -> Result<(RedisRecords, RedisRecords), ExpiringError> {
    let flows = RedisRecords::new(config, flows::REDIS_PREFIX)?;
    Ok((flows, RedisRecords::new(config, rate_limits::REDIS_PREFIX)?))
}

fn answered(address: &str, info: Option<&ServerInfo>, latency: Duration) -> Finding {
    let milliseconds = latency.as_secs_f64() * 1000.0;
    let version = info.map_or_else(String::new, |info| format!(" {}", info.version));
    let what = format!("Redis{version} at {address} works ({milliseconds:.1} ms)");
    Finding::ok(Check::Redis, what).measured(Measured::Milliseconds(milliseconds))
}

fn refused(error: &ExpiringError) -> Finding {
    let said = error.to_string();
    let fix = tls::fix_store(error, &VARIABLES).unwrap_or_else(|| fix_refusal(&said).to_owned());
    let what = format!("Redis can't be used, so users can't connect Discogs: {said}");
    Finding::error(Check::Redis, what, fix)
}

/// Reports that each replica counts requests separately.
fn limits_not_shared(error: &ExpiringError) -> Finding {
    let what = format!("Request limits can't be shared by all replicas: {error}");
    Finding::warning(Check::Redis, what, fix_refusal(&error.to_string()))
}

fn unknown_memory() -> Finding {
    Finding::note(
        Check::RedisMemory,
        "Redis does not report its memory: its user is not allowed to run INFO",
        "Check it yourself: maxmemory-policy should be noeviction",
    )
}

/// Suggests a fix based on the error code, the only part of the server's message that is kept.
fn fix_refusal(error: &str) -> &'static str {
    let has = |codes: &[&str]| codes.iter().any(|code| error.contains(code));
    if has(&["WRONGPASS", "NOAUTH", "AuthenticationFailed"]) {
        "Correct the user and password in REDIS_URL, or REDIS_PASSWORD: `redis://USER:PASSWORD@HOST:6379/0`"
    } else if has(&["NOPERM", "unknown command"]) {
        "Allow the Redis user GET, SET, DEL, TIME, EVAL, EVALSHA and SCRIPT LOAD on keys with the prefix \
         `discogs:`, as in `acl setuser NAME ~discogs:* +@read +@write +@scripting +time`"
    } else if has(&["database number"]) {
        "Correct the number at the end of REDIS_URL: most servers have the databases 0 to 15, some \
         only 0"
    } else if has(&["READONLY"]) {
        "Set REDIS_URL to the primary, or promote this one: `redis-cli replicaof no one`"
    } else if has(&["OOM"]) {
        "Give it more memory: `redis-cli config set maxmemory 256mb`; or remove other programs' keys"
    } else if has(&["MISCONF"]) {
        "Free space on its disk, and check its log: it can't save its data, so it refuses writes"
    } else if has(&["LOADING"]) {
        "Wait: Redis is loading its data"
    } else if has(&["CROSSSLOT", "MOVED", "CLUSTERDOWN"]) {
        "Use a single Redis server: Redis Cluster and sharded Redis are not supported"
    } else if has(&["ERR"]) {
        "Check the log of Redis: it refuses a command or a script, which some hosted services disable"
    } else {
        "Check the log of Redis; if it requires TLS, begin REDIS_URL with rediss://"
    }
}

/// Reports problems that keep Redis from accepting the service's writes.
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
            "Redis is a replica and accepts no writes: users can't connect Discogs",
            "Set REDIS_URL to the primary, or promote this one: `redis-cli replicaof no one`",
        ));
    }
    if info.has_failed_to_save {
        findings.push(Finding::warning(
            Check::Redis,
            "Redis failed to save its data to disk, and may refuse writes",
            "Free space on its disk, and check its log",
        ));
    }
    findings
}

/// Reports whether Redis would evict pending flows, or refuse new ones, when its memory is full.
fn memory(info: &ServerInfo) -> Finding {
    let policy = &info.eviction;
    let fix = "`redis-cli config set maxmemory-policy noeviction`, and the same in redis.conf";
    match info.most_memory {
        Some(most) if info.evicts() => Finding::warning(
            Check::RedisMemory,
            format!(
                "maxmemory-policy is {policy}: when its limit of {most} bytes is \
                 reached, Redis evicts pending flows and counts of requests"
            ),
            fix,
        ),
        None if info.evicts() => Finding::warning(
            Check::RedisMemory,
            format!(
                "maxmemory-policy is {policy}: as soon as maxmemory is set, Redis may evict \
                 pending flows and counts of requests"
            ),
            fix,
        ),
        Some(most) if info.memory >= most => Finding::error(
            Check::RedisMemory,
            format!("Redis is full: {} bytes of {most}", info.memory),
            "Give it more memory: `redis-cli config set maxmemory 256mb`; or remove other programs' keys",
        ),
        Some(_) | None => Finding::ok(Check::RedisMemory, "Redis evicts no keys"),
    }
}
