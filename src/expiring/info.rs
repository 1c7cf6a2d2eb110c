//! What a Redis server says of itself (its command INFO), as far as it matters to our records.

/// The server as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// `7.4.1`
    pub version: String,
    /// A replica takes no writes.
    pub is_replica: bool,
    /// Whether it refuses writes because it could not save its data to disk.
    pub has_failed_to_save: bool,
    /// `maxmemory-policy`: which keys it drops where memory is short.
    pub eviction: String,
    /// `maxmemory` in bytes; `None` where there is no limit.
    pub most_memory: Option<u64>,
    /// What its data takes now, in bytes.
    pub memory: u64,
}

impl ServerInfo {
    /// Reads the lines of an answer; what is missing counts as unremarkable.
    pub(super) fn parse(answer: &str) -> Self {
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

    /// Whether it may drop our records before their time: they all have one, so every policy but
    /// `noeviction` takes them.
    #[must_use]
    pub fn evicts(&self) -> bool {
        !self.eviction.is_empty() && self.eviction != "noeviction"
    }
}

#[cfg(test)]
mod tests {
    use super::ServerInfo;

    #[test]
    fn an_answer_is_read_line_by_line() {
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
    fn a_server_that_says_little_is_taken_as_it_should_be() {
        let info = ServerInfo::parse("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n");
        assert_eq!((info.evicts(), info.is_replica, info.most_memory), (false, false, None));
        assert!(!ServerInfo::parse("").evicts());
    }
}
