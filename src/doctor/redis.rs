//! Redis: there, signed in to, taking writes, and keeping what it was given.

use super::reach::Server;
use super::report::{Check, Finding, Measured};
use super::tls;
use crate::config::RedisConfig;
use crate::records::{RedisRecords, ServerInfo};

/// The first with the scripts' commands that we use.
const OLDEST: u32 = 6;

const WAY: tls::Store = tls::Store { address: "REDIS_URL", roots: "REDIS_SSLROOTCERT" };

pub(super) async fn look(config: &RedisConfig) -> Vec<Finding> {
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
    let asked = match RedisRecords::new(config, "") {
        Ok(records) => records.server_info().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok((info, latency)) => {
            let milliseconds = latency.as_secs_f64() * 1000.0;
            let what =
                format!("Redis {} at {address} answers, in {milliseconds:.1} ms", info.version);
            let answered =
                Finding::ok(Check::Redis, what).measured(Measured::Milliseconds(milliseconds));
            [answered].into_iter().chain(writes(&info)).chain([memory(&info)]).collect()
        }
        Err(error) => {
            let mend = tls::mend_store(&error, &WAY);
            let said = error.to_string();
            let mend = mend.unwrap_or_else(|| mend_refusal(&said).to_owned());
            vec![Finding::error(Check::Redis, format!("Redis can't be used: {said}"), mend)]
        }
    }
}

/// Of a server's message only its code is known, since the rest may repeat what was sent.
fn mend_refusal(error: &str) -> &'static str {
    let has = |codes: &[&str]| codes.iter().any(|code| error.contains(code));
    if has(&["WRONGPASS", "NOAUTH"]) || error.contains("AuthenticationFailed") {
        "Correct the user and password in REDIS_URL, or REDIS_PASSWORD: `redis://USER:PASSWORD@HOST:6379/0`"
    } else if has(&["NOPERM"]) {
        "Let the user of REDIS_URL run INFO, GET, SET, DEL, TIME, EVAL and EVALSHA"
    } else if has(&["LOADING"]) {
        "Wait: Redis is reading its data"
    } else {
        "Look at the log of Redis; if it wants TLS, REDIS_URL begins with rediss://"
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
    let mend = "`redis-cli config set maxmemory-policy noeviction`, and the same in redis.conf";
    match info.most_memory {
        Some(most) if info.evicts() => Finding::warning(
            Check::RedisMemory,
            format!(
                "maxmemory-policy is {policy}: with its {most} bytes full, Redis drops flows \
                 under way and counts of requests"
            ),
            mend,
        ),
        None if info.evicts() => Finding::warning(
            Check::RedisMemory,
            format!(
                "maxmemory-policy is {policy}: as soon as somebody sets maxmemory, Redis drops \
                 flows under way and counts of requests"
            ),
            mend,
        ),
        Some(most) if info.memory >= most => Finding::error(
            Check::RedisMemory,
            format!("Redis is full: {} bytes of {most}", info.memory),
            "Give it more: `redis-cli config set maxmemory 256mb`; or remove what others keep there",
        ),
        Some(_) | None => Finding::ok(Check::RedisMemory, "Redis keeps keys until their time"),
    }
}
