//! What Redis is asked to do, as scripts: each of them is one step that no other one can interrupt.

/// A key of another type is not a record of ours, and counts as none.
pub(super) const READ: &str = "
    local records = {}
    for i, key in ipairs(KEYS) do
        local stored = redis.pcall('GET', key)
        if type(stored) == 'table' then stored = false end
        records[i] = stored
    end
    local now = redis.call('TIME')
    return {now[1], now[2], records}";

/// Three arguments for each key: what is stored, the new record, its life. An empty text stands for
/// \"no record\"; a life of `0` for \"as long as it has\", an empty life for \"leave it as it is\".
pub(super) const REPLACE: &str = "
    for i, key in ipairs(KEYS) do
        local stored = redis.pcall('GET', key)
        if type(stored) == 'table' or stored == false then stored = '' end
        if stored ~= ARGV[3 * i - 2] then return 0 end
    end
    for i, key in ipairs(KEYS) do
        local record, life = ARGV[3 * i - 1], ARGV[3 * i]
        if life == '' then
        elseif record == '' then redis.call('DEL', key)
        elseif life == '0' then redis.call('SET', key, record, 'KEEPTTL')
        else redis.call('SET', key, record, 'PX', life) end
    end
    return 1";

/// The records that [`PING`] uses. A step has several records, so these two are in hash slots far apart:
/// Redis that is split into shards refuses the script.
pub(super) const PINGED: [&str; 2] = ["", "2"];

/// What a step does to records, with two of ours that nobody reads: it reads, writes and deletes.
pub(super) const PING: &str = "
    redis.call('TIME')
    for _, key in ipairs(KEYS) do
        redis.call('GET', key)
        redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
        redis.call('SET', key, ARGV[1], 'KEEPTTL')
        redis.call('DEL', key)
    end
    return 1";
