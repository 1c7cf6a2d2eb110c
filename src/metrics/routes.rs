//! The counts of requests by method, route and status.
//!
//! Most combinations never occur, so each is created by its first request. A [`Route`] keeps the handles of
//! its metrics, so counting needs no search in a family.

use std::array;
use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::durations::Durations;
use super::labels::Method;

/// The route label of unknown paths.
const NO_ROUTE: &str = "none";

/// Every status that the service sends.
const STATUSES: [u16; 17] =
    [200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 502, 503];

/// The known statuses, any other status, and no answer.
const OUTCOMES: usize = STATUSES.len() + 2;

/// Labels with their values.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// The families of requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) answered: Family<Labels<3>, Counter>,
    pub(super) durations: Family<Labels<1>, Durations>,
}

/// The counts of one route.
#[derive(Debug)]
pub struct Route {
    template: Box<str>,
    requests: Requests,
    /// The counter of each method and outcome that occurred.
    counters: [OnceLock<Counter>; Method::ALL.len() * OUTCOMES],
    durations: OnceLock<Durations>,
}

impl Requests {
    pub(super) fn route(&self, template: &str) -> Route {
        let requests = Self { answered: self.answered.clone(), durations: self.durations.clone() };
        let counters = array::from_fn(|_| OnceLock::new());
        Route { template: template.into(), requests, counters, durations: OnceLock::new() }
    }
}

impl Route {
    /// The path of the route with its parameters named; empty for paths without a route.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Counts a request, by the status of its answer; `None` if it ended before it was answered.
    pub fn count(&self, method: Method, status: Option<u16>, took: Duration) {
        if let Some(counter) = self.counters.get(method as usize * OUTCOMES + outcome(status)) {
            counter.get_or_init(|| self.counter(method, status)).inc();
        }
        self.durations.get_or_init(|| self.durations()).observe(took);
    }

    fn counter(&self, method: Method, status: Option<u16>) -> Counter {
        let labels = [
            ("method", method.as_str().into()),
            ("route", self.shown().into()),
            ("status", shown(status)),
        ];
        self.requests.answered.get_or_create_owned(&labels)
    }

    fn durations(&self) -> Durations {
        self.requests.durations.get_or_create_owned(&[("route", self.shown().into())])
    }

    fn shown(&self) -> String {
        if self.template.is_empty() { NO_ROUTE.to_owned() } else { self.template.to_string() }
    }
}

/// Returns the index of a status among a method's counters.
fn outcome(status: Option<u16>) -> usize {
    status.map_or(STATUSES.len() + 1, |status| {
        STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len())
    })
}

/// Returns the value of the label `status`.
fn shown(status: Option<u16>) -> Cow<'static, str> {
    match status {
        Some(status) if STATUSES.contains(&status) => status.to_string().into(),
        Some(_) => "other".into(),
        None => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{OUTCOMES, STATUSES, outcome, shown};

    #[test]
    fn each_status_of_the_service_has_its_own_counter() {
        let all = STATUSES.map(Some).into_iter().chain([Some(418), None]);
        let places: BTreeSet<_> = all.clone().map(outcome).collect();
        assert_eq!(places, (0..OUTCOMES).collect());
        let words: BTreeSet<_> = all.map(shown).collect();
        assert_eq!(words.len(), OUTCOMES);
        assert_eq!(
            (shown(Some(200)), shown(Some(418)), shown(None)),
            ("200".into(), "other".into(), "none".into())
        );
    }
}
