//! Reads what a Redis server reports about itself (its command INFO).

/// The state of a Redis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::doctor) struct ServerInfo {
    /// `7.4.1`
    pub(in crate::doctor) version: String,
    /// Whether it is a replica, which accepts no writes.
    pub(in crate::doctor) is_replica: bool,
    /// Whether it refuses writes because it could not save its data to disk.
    pub(in crate::doctor) has_failed_to_save: bool,
    /// `maxmemory-policy`: which keys it evicts when its memory is full.
    pub(in crate::doctor) eviction: String,
    /// `maxmemory` in bytes; `None` if there is no limit.
    pub(in crate::doctor) most_memory: Option<u64>,
    /// How much memory its data uses, in bytes.
    pub(in crate::doctor) memory: u64,
}

impl ServerInfo {
    /// Parses the lines of an answer; a missing field counts as healthy.
    pub(in crate::doctor) fn parse(answer: &str) -> Self {
        let field = |name: &str| {
            let lines = answer.lines().filter_map(|line| line.split_once(':'));
            let mut values = lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim());
            values.next().unwrap_or_default()
        };
        let number = |name| field(name).parse::<u64>().unwrap_or_default();
        Self {
            version: field("redis_version").to_owned(),
            is_replica: field("role") == "slave",
            has_failed_to_save: field("rdb_last_bgsave_status") == "err",
            eviction: field("maxmemory_policy").to_owned(),
            most_memory: Some(number("maxmemory")).filter(|most| *most > 0),
            memory: number("used_memory"),
        }
    }

    /// Whether it may evict records before they expire.
    ///
    /// Every record has a time to live, so every policy except `noeviction` may evict it.
    pub(in crate::doctor) fn evicts(&self) -> bool {
        !self.eviction.is_empty() && self.eviction != "noeviction"
    }
}

#[cfg(test)]
mod tests {
    use super::ServerInfo;

    #[test]
    fn an_answer_is_parsed_line_by_line() {
        let answer = "# Server\r\nredis_version:7.4.1\r\n# Memory\r\nused_memory:2048\r\n\
                      maxmemory:4096\r\nmaxmemory_policy:volatile-ttl\r\n# Replication\r\n\
                      role:slave\r\nrdb_last_bgsave_status:err\r\n";
        let expected = ServerInfo {
            version: "7.4.1".to_owned(),
            is_replica: true,
            has_failed_to_save: true,
            eviction: "volatile-ttl".to_owned(),
            most_memory: Some(4096),
            memory: 2048,
        };
        assert_eq!(ServerInfo::parse(answer), expected);
        assert!(expected.evicts());
    }

    #[test]
    fn missing_fields_count_as_healthy() {
        let info = ServerInfo::parse("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n");
        assert_eq!((info.evicts(), info.is_replica, info.most_memory), (false, false, None));
        assert!(!ServerInfo::parse("").evicts());
    }
}
