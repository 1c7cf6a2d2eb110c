//! `RATE_LIMITS` and its budgets, and `TRUSTED_PROXIES`.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use env_config::{Reader, Warning};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::variables;

/// The largest budget: each request in a window takes memory.
const MAX_BUDGET: u32 = 1_000;

/// The longest window, in seconds.
const MAX_WINDOW: u64 = 24 * 60 * 60;

/// All IPv4 addresses, mapped into IPv6.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// The maximum number of IPv4 addresses to trust: four /8 networks.
///
/// The private ranges need little more than one.
const MAX_V4: u64 = 1 << 26;

/// The maximum number of public IPv6 addresses to trust: a /16 network.
const MAX_V6: u128 = 1 << 112;

/// Whether requests are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimits {
    /// No request is limited.
    Off,
    /// Requests are limited to these budgets.
    On(Budgets),
}

/// How many requests are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Registrations from one address.
    pub register: Budget,
    /// Sign-ins from one address.
    pub sign_in: Budget,
    /// Failed sign-ins to one account.
    pub failed_sign_in: Budget,
    /// Starts of a connection by one user.
    pub authorize: Budget,
    /// Starts of a connection from one address.
    pub authorize_address: Budget,
    /// Finishes of a connection by one user.
    pub verify: Budget,
    /// Finishes of a connection from one address.
    pub verify_address: Budget,
}

/// How many requests are allowed in any window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The number of requests.
    pub most: u32,
    /// The length of the window.
    pub window: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<RateLimits> {
    let is_on = reader.value(&variables::RATE_LIMITS);
    let register = reader.value(&variables::RATE_LIMIT_REGISTER);
    let sign_in = reader.value(&variables::RATE_LIMIT_SIGN_IN);
    let failed_sign_in = reader.value(&variables::RATE_LIMIT_FAILED_SIGN_IN);
    let authorize = reader.value(&variables::RATE_LIMIT_AUTHORIZE);
    let authorize_address = reader.value(&variables::RATE_LIMIT_AUTHORIZE_ADDRESS);
    let verify = reader.value(&variables::RATE_LIMIT_VERIFY);
    let verify_address = reader.value(&variables::RATE_LIMIT_VERIFY_ADDRESS);
    if !is_on? {
        let what = "RATE_LIMITS is off: nothing slows down guessing passwords";
        reader.warn(Warning::Careful(what.to_owned()));
        return Some(RateLimits::Off);
    }
    Some(RateLimits::On(Budgets {
        register: register?,
        sign_in: sign_in?,
        failed_sign_in: failed_sign_in?,
        authorize: authorize?,
        authorize_address: authorize_address?,
        verify: verify?,
        verify_address: verify_address?,
    }))
}

/// Reads `<number>/<seconds>`.
pub(super) fn parse_budget(value: &str) -> Result<Budget, String> {
    let parsed = value.split_once('/').and_then(|(most, seconds)| {
        let most = most.trim().parse().ok().filter(|most| (1..=MAX_BUDGET).contains(most))?;
        let seconds = seconds.trim().parse().ok()?;
        let is_window = (1..=MAX_WINDOW).contains(&seconds);
        is_window.then_some(Budget { most, window: Duration::from_secs(seconds) })
    });
    parsed.ok_or_else(|| {
        format!(
            "is not COUNT/SECONDS with a count from 1 to {MAX_BUDGET} and 1 to {MAX_WINDOW} seconds"
        )
    })
}

pub(super) fn read_proxies(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let proxies = reader.value(&variables::TRUSTED_PROXIES).unwrap_or_default();
    if let Some(danger) = danger(&proxies) {
        reader.warn(Warning::Careful(format!("TRUSTED_PROXIES {danger}")));
    }
    proxies
}

/// Why trusting these networks together is dangerous; `None` if it isn't.
fn danger(networks: &Vec<IpNet>) -> Option<&'static str> {
    let merged = IpNet::aggregate(networks);
    if merged.iter().any(|network| network.prefix_len() == 0) {
        return Some("trusts every client: each can claim any address");
    }
    let (mut v4, mut v6) = (0_u64, 0_u128);
    for network in merged {
        match network {
            IpNet::V4(network) => v4 += 1 << (32 - network.prefix_len()),
            IpNet::V6(network) if is_public(&network) => v6 += 1 << (128 - network.prefix_len()),
            IpNet::V6(_) => {}
        }
    }
    (v4 > MAX_V4 || v6 > MAX_V6)
        .then_some("trusts a large part of the internet: anyone there can claim any address")
}

/// Whether a network contains public IPv6 addresses, which are in `2000::/3`.
fn is_public(network: &Ipv6Net) -> bool {
    let first = network.network().segments()[0] >> 13;
    network.prefix_len() < 3 && first == 0 || first == 1
}

/// Reads networks and addresses, comma-separated.
pub(super) fn parse_networks(value: &str) -> Result<Vec<IpNet>, String> {
    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parsed = parts.enumerate().map(|(place, part)| {
        let network = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
        network.map(canonical).map_err(|_| {
            format!("has a part that is neither an address nor a network (part {})", place + 1)
        })
    });
    let parsed: Vec<_> = parsed.collect::<Result<_, _>>()?;
    Ok(parsed.into_iter().flatten().collect())
}

/// Returns the network in the form that peers are compared in.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:0:0/96`) become IPv4 addresses.
fn canonical(network: IpNet) -> Vec<IpNet> {
    let IpNet::V6(v6) = network else {
        return vec![network];
    };
    if v6.contains(&MAPPED) {
        let everybody = Ipv4Net::default();
        return vec![network, everybody.into()];
    }
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    vec![v4.map_or(network, IpNet::V4)]
}
