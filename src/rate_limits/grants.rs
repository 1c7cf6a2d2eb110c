//! The record of a bucket: when requests were granted.

use serde::{Deserialize, Serialize};

/// When requests were granted, and how often the budget was used up recently.
///
/// Replicas of other versions also read it. `granted` lists moments in microseconds since the Unix
/// epoch; `[moment, number]` stands for several requests, and only buckets of wide networks have
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grants {
    /// Oldest first.
    granted: Vec<Run>,
    /// How often the budget was used up recently.
    holds: u32,
}

/// Requests granted at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredRun", into = "StoredRun")]
struct Run {
    at: i64,
    number: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredRun {
    One(i64),
    Several(i64, u32),
}

impl Grants {
    /// Parses a stored record; an invalid one reads as empty.
    pub(super) fn parse(stored: Option<&[u8]>) -> Self {
        let record = stored.and_then(|stored| serde_json::from_slice(stored).ok());
        let mut record: Self = record.unwrap_or_default();
        record.granted.sort_by_key(|run| run.at);
        record
    }

    pub(super) fn to_text(&self) -> String {
        // Numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn holds(&self) -> u32 {
        self.holds
    }

    /// How many requests were granted.
    pub(super) fn number(&self) -> u64 {
        self.granted.iter().map(|run| u64::from(run.number)).sum()
    }

    pub(super) fn oldest(&self) -> Option<i64> {
        self.granted.first().map(|run| run.at)
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.granted.last().map(|run| run.at)
    }

    /// Adds a grant, which may be older than others.
    pub(super) fn add(&mut self, at: i64) {
        let place = self.granted.partition_point(|run| run.at <= at);
        self.granted.insert(place, Run { at, number: 1 });
    }

    /// Adds a grant to those of the same moment.
    pub(super) fn add_to_moment(&mut self, at: i64) {
        match self.granted.iter_mut().find(|run| run.at == at) {
            Some(run) => run.number = run.number.saturating_add(1),
            None => self.add(at),
        }
    }

    /// Removes a grant of this moment, if there is one.
    pub(super) fn remove(&mut self, at: i64) {
        let Some(place) = self.granted.iter().position(|run| run.at == at) else {
            return;
        };
        match self.granted.get_mut(place) {
            Some(run) if run.number > 1 => run.number -= 1,
            _ => drop(self.granted.remove(place)),
        }
    }

    /// Moves grants in the future to `now`, so that no client waits for a clock that was set back.
    pub(super) fn settle(&mut self, now: i64) {
        self.granted.iter_mut().for_each(|run| run.at = run.at.min(now));
    }

    /// Keeps the grants of the last `window` microseconds.
    pub(super) fn forget_before(&mut self, now: i64, window: i64) {
        self.granted.retain(|run| now.saturating_sub(run.at) < window);
    }

    /// Adds every grant again, oldest first.
    ///
    /// Before each one, `prepare` gets the earlier grants and the moment of this one.
    pub(super) fn replay(&mut self, prepare: impl Fn(&mut Self, i64)) {
        for run in std::mem::take(&mut self.granted) {
            prepare(self, run.at);
            self.granted.push(run);
        }
    }

    /// Ends a hold; the next one is longer.
    pub(super) fn end_hold(&mut self) {
        self.granted.clear();
        self.holds = self.holds.saturating_add(1);
    }
}

impl From<StoredRun> for Run {
    fn from(stored: StoredRun) -> Self {
        match stored {
            StoredRun::One(at) => Self { at, number: 1 },
            StoredRun::Several(at, number) => Self { at, number },
        }
    }
}

impl From<Run> for StoredRun {
    fn from(Run { at, number }: Run) -> Self {
        if number == 1 { Self::One(at) } else { Self::Several(at, number) }
    }
}

#[cfg(test)]
mod tests {
    use super::Grants;

    /// Replicas of the previous version write and read this text.
    #[test]
    fn a_record_is_a_list_of_moments() {
        let text = r#"{"granted":[1790000000000000,1790000000000001],"holds":2}"#;
        let mut record = Grants::parse(Some(text.as_bytes()));
        assert_eq!((record.number(), record.holds()), (2, 2));
        assert_eq!(record.to_text(), text);
        record.add(1_790_000_000_000_001);
        let again = r#"{"granted":[1790000000000000,1790000000000001,1790000000000001],"holds":2}"#;
        assert_eq!(record.to_text(), again);
    }

    #[test]
    fn grants_of_one_moment_are_stored_together() {
        let mut record = Grants::default();
        for at in [10, 20, 20, 20] {
            record.add_to_moment(at);
        }
        let text = r#"{"granted":[10,[20,3]],"holds":0}"#;
        assert_eq!(record.to_text(), text);
        assert_eq!(Grants::parse(Some(text.as_bytes())), record);
        (0..3).for_each(|_| record.remove(20));
        record.remove(20);
        assert_eq!(record.to_text(), r#"{"granted":[10],"holds":0}"#);
    }

    #[test]
    fn an_invalid_record_reads_as_empty() {
        for stored in [&b""[..], b"[]", b"{\"granted\":\"x\"}", b"\xff", b"{\"granted\":[[1]]}"] {
            assert!(Grants::parse(Some(stored)).is_empty(), "{stored:?}");
        }
    }
}
