//! A call without credentials, which shows whether Discogs responds, and what its clock says.

use std::time::{Duration, SystemTime};

use reqwest::header;

use super::{Answer, CallFailure, Discogs, DiscogsError};
use crate::clock::Timestamp;

/// The name of this call in errors.
const STEP: &str = "greeting";

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// The result of a probe.
#[derive(Debug)]
pub struct Probe {
    /// How far this machine's clock is ahead of the answer's `Date`, in seconds.
    ///
    /// Negative if it is behind; `None` if the answer has no date.
    pub ahead: Option<i64>,
    /// Whether Discogs answered, rather than a page that blocks the service.
    pub answer: Result<(), DiscogsError>,
}

impl Discogs {
    /// Requests the root of the API, within `limit`.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn probe(&self, limit: Duration) -> Result<Probe, DiscogsError> {
        let request = self.client.get(&self.config.api_url).timeout(limit);
        let sent_at = self.clock.now();
        let sent = request.send().await;
        let response = sent.map_err(|error| CallFailure::from(error).at(STEP))?;
        let received_at = self.clock.now();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let ahead = date.and_then(|date| ahead(date, sent_at, received_at));
        let read = Answer::read(response, received_at).await;
        let answer = read.map_err(|error| CallFailure::from(error).at(STEP))?;
        let answer = match answer.status {
            403 | 429 | 500..=599 => Err(answer.refusal(STEP)),
            _ => Ok(()),
        };
        Ok(Probe { ahead, answer })
    }
}

/// Compares the clock half-way through the call with the answer's date.
///
/// The date is in whole seconds (RFC 9110 section 5.6.7). Half a second is added for the fraction
/// that was cut off, on average.
fn ahead(date: &str, sent_at: Timestamp, received_at: Timestamp) -> Option<i64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let theirs = date.duration_since(SystemTime::UNIX_EPOCH).ok()? + Duration::from_millis(500);
    let theirs = i64::try_from(theirs.as_micros()).ok()?;
    let ours = i64::midpoint(sent_at.as_microseconds(), received_at.as_microseconds());
    Some((ours - theirs + SECOND / 2).div_euclid(SECOND))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Timestamp, ahead};

    #[test]
    fn the_difference_is_in_whole_seconds() {
        let at = |seconds: i64| Timestamp::from_microseconds((784_111_777 + seconds) * 1_000_000);
        let difference = |sent, received| ahead("Sun, 06 Nov 1994 08:49:37 GMT", sent, received);
        assert_eq!(difference(at(0), at(1)), Some(0));
        assert_eq!(difference(at(0), at(0).plus(Duration::from_millis(900))), Some(0));
        assert_eq!(difference(at(90), at(91)), Some(90));
        assert_eq!(difference(at(-600), at(-599)), Some(-600));
        assert_eq!(ahead("soon", at(0), at(0)), None);
    }
}
