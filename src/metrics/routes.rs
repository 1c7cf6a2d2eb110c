//! What is counted for every request: by method, route and status.
//!
//! Most combinations never occur, so only those that did are shown.

use std::sync::Arc;
use std::time::Duration;

use super::kinds::{Counter, Family, Histogram};
use super::labels::{Label, Method};
use super::text::{Samples, Text};

/// The route of paths that there are none for.
const NO_ROUTE: &str = "none";

/// The counts of one route.
#[derive(Debug)]
pub struct Route {
    template: &'static str,
    answers: Family<Method, Family<Status, Counter>>,
    durations: Histogram,
}

/// The status of an answer: one that the service gives, or `other`; `none` where the client went
/// away, or was given up, before it.
#[derive(Debug, Clone, Copy)]
struct Status(Option<u16>);

impl Label for Status {
    const NAME: &'static str = "status";
    const VALUES: &'static [&'static str] = &[
        "200", "201", "204", "304", "400", "401", "403", "404", "405", "409", "413", "415", "422",
        "429", "500", "502", "503", "other", "none",
    ];

    fn index(self) -> usize {
        match self.0 {
            Some(200) => 0,
            Some(201) => 1,
            Some(204) => 2,
            Some(304) => 3,
            Some(400) => 4,
            Some(401) => 5,
            Some(403) => 6,
            Some(404) => 7,
            Some(405) => 8,
            Some(409) => 9,
            Some(413) => 10,
            Some(415) => 11,
            Some(422) => 12,
            Some(429) => 13,
            Some(500) => 14,
            Some(502) => 15,
            Some(503) => 16,
            Some(_) => 17,
            None => 18,
        }
    }
}

impl Route {
    pub(super) fn new(template: &'static str) -> Self {
        Self { template, answers: Family::default(), durations: Histogram::default() }
    }

    pub(super) fn template(&self) -> &'static str {
        self.template
    }

    /// Counts a request, by the status of its answer if it got one.
    pub fn count(&self, method: Method, status: Option<u16>, took: Duration) {
        self.answers.of(method).of(Status(status)).add_one();
        self.durations.observe(took);
    }

    fn shown(&self) -> &'static str {
        if self.template.is_empty() { NO_ROUTE } else { self.template }
    }
}

/// The counters of all routes.
pub(super) struct Answers<'a>(pub(super) &'a [Arc<Route>]);

impl Samples for Answers<'_> {
    const KIND: &'static str = "counter";

    fn write(&self, text: &mut Text, _: &[(&str, &str)]) {
        for route in self.0 {
            for (method, by_status) in route.answers.iter() {
                for (status, counter) in by_status.iter().filter(|(_, it)| it.value() > 0) {
                    let labels =
                        [(Method::NAME, method), ("route", route.shown()), (Status::NAME, status)];
                    counter.write(text, &labels);
                }
            }
        }
    }
}

/// The histograms of all routes.
pub(super) struct Durations<'a>(pub(super) &'a [Arc<Route>]);

impl Samples for Durations<'_> {
    const KIND: &'static str = "histogram";

    fn write(&self, text: &mut Text, _: &[(&str, &str)]) {
        for route in self.0.iter().filter(|route| !route.durations.sum().is_zero()) {
            route.durations.write(text, &[("route", route.shown())]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Label as _, Status};

    #[test]
    fn a_status_is_shown_as_itself_or_as_other() {
        for value in Status::VALUES.iter().filter(|value| value.len() == 3) {
            assert_eq!(Status(value.parse().ok()).as_str(), *value);
        }
        assert_eq!(Status(Some(418)).as_str(), "other");
        assert_eq!(Status(None).as_str(), "none");
    }
}
