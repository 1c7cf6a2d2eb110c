//! The scripts that Redis runs; no other command runs in between.

/// Reads records. A key of another type counts as no record.
pub(super) const READ: &str = "
    local records = {}
    for i, key in ipairs(KEYS) do
        local stored = redis.pcall('GET', key)
        if type(stored) == 'table' then stored = false end
        records[i] = stored
    end
    local now = redis.call('TIME')
    return {now[1], now[2], records}";

/// Replaces records if none has changed.
///
/// Each key has three arguments: the stored record, the new record and its life.
///
/// An empty record means none. A life of `0` keeps the remaining one; an empty life writes nothing.
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

/// The records that [`PING`] uses, in hash slots far apart.
///
/// An update has several records, so a sharded Redis must refuse the script.
pub(super) const PINGED: [&str; 2] = ["", "2"];

/// Does everything that an update does, with two records that nothing else uses.
pub(super) const PING: &str = "
    redis.call('TIME')
    for _, key in ipairs(KEYS) do
        redis.call('GET', key)
        redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
        redis.call('SET', key, ARGV[1], 'KEEPTTL')
        redis.call('DEL', key)
    end
    return 1";
