//! The keys of buckets: keyed hashes, which reveal no address or email.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::model::Network;

/// The number of keys of a limit; several clients may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeySpace {
    /// For records that are kept only for a window.
    Small = 1 << 18,
    /// For failed sign-ins, which can lock an account for hours.
    ///
    /// An attacker who filled every key would lock every account.
    Large = 1 << 22,
}

/// Separates these hashes from others that are derived from the same secret.
const PURPOSE: &[u8] = b"discogsography request limits";

/// The hash of a subject.
pub(super) type SubjectHash = [u8; 16];

/// The client, account or user that a bucket belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A client's network.
    Network(Network),
    /// An account, which need not exist.
    Email(&'a str),
    /// A signed-in user.
    User(Uuid),
}

/// Hashes subjects with a key.
pub(super) struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(super) fn new(secret: &[u8]) -> Self {
        let purpose = keyed(secret).chain_update(PURPOSE).finalize().into_bytes();
        Self(keyed(&purpose))
    }

    /// The full hash, which is unique to its subject.
    pub(super) fn hash(&self, subject: Subject<'_>) -> SubjectHash {
        let mac = self.0.clone();
        let mac = match subject {
            Subject::Network(network) => match (network.address(), network.prefix()) {
                (IpAddr::V4(address), 32) => mac.chain_update(b"4").chain_update(address.octets()),
                (IpAddr::V6(address), 64) => {
                    mac.chain_update(b"6").chain_update(&address.octets()[..8])
                }
                (IpAddr::V4(address), prefix) => {
                    mac.chain_update(b"v4").chain_update([prefix]).chain_update(address.octets())
                }
                (IpAddr::V6(address), prefix) => {
                    mac.chain_update(b"v6").chain_update([prefix]).chain_update(address.octets())
                }
            },
            Subject::Email(email) => mac.chain_update(b"@").chain_update(email),
            Subject::User(id) => mac.chain_update(b"u").chain_update(id.as_bytes()),
        };
        let digest = mac.finalize().into_bytes();
        std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default())
    }
}

/// Returns the key of a bucket.
///
/// `kind` is the limit, with a prefix length.
pub(super) fn key([a, b, c, d, ..]: SubjectHash, kind: &str, space: KeySpace) -> String {
    let number = u32::from_be_bytes([a, b, c, d]) % space as u32;
    match space {
        KeySpace::Small => format!("{kind}:{number:05x}"),
        KeySpace::Large => format!("{kind}:{number:06x}"),
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let Ok(keyed) = Hmac::new_from_slice(key) else {
        unreachable!("HMAC accepts a key of any length (RFC 2104)")
    };
    keyed
}

#[cfg(test)]
mod tests {
    use super::{Hasher, KeySpace, Subject};
    use crate::model::Network;

    fn key(secret: &str, address: &str, prefix: u8) -> String {
        let network = Network::around(address.parse().unwrap(), 32, prefix);
        let hash = Hasher::new(secret.as_bytes()).hash(Subject::Network(network));
        super::key(hash, "sign_in", KeySpace::Small)
    }

    #[test]
    fn a_key_depends_on_the_secret_and_reveals_no_address() {
        assert_eq!(key("one", "192.0.2.1", 64), key("one", "192.0.2.1", 64));
        assert_ne!(key("one", "192.0.2.1", 64), key("two", "192.0.2.1", 64));
        assert_ne!(key("one", "192.0.2.1", 64), key("one", "192.0.2.2", 64));
        assert!(!key("one", "192.0.2.1", 64).contains("192"));
    }

    /// Replicas of the previous version use the same keys.
    #[test]
    fn keys_never_change() {
        assert_eq!(key("one", "192.0.2.1", 64), "sign_in:12923");
        assert_eq!(key("one", "2001:db8::1", 64), "sign_in:357f0");
    }

    #[test]
    fn addresses_of_one_network_have_one_key() {
        assert_eq!(key("one", "2001:db8::1", 64), key("one", "2001:db8::ffff:1", 64));
        assert_ne!(key("one", "2001:db8::1", 64), key("one", "2001:db8:0:1::1", 64));
        assert_eq!(key("one", "2001:db8::1", 56), key("one", "2001:db8:0:ff::1", 56));
        assert_ne!(key("one", "2001:db8::1", 56), key("one", "2001:db8::1", 48));
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        for space in [KeySpace::Small, KeySpace::Large] {
            let largest = (0..=255).map(|byte| {
                let key = super::key([byte; 16], "sign_in", space);
                u32::from_str_radix(key.split_once(':').unwrap().1, 16).unwrap()
            });
            let largest = largest.max().unwrap();
            assert!(largest < space as u32 && largest > space as u32 / 2, "{largest}");
        }
    }
}
