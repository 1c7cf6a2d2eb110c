//! The names under which counts are kept: keyed hashes, so that neither an address nor an email
//! can be read from a store.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::model::Network;

/// How many names the counts of a kind have; beyond that several clients share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// For counts that last for a window.
    Few = 1 << 18,
    /// For failed sign-ins, which can hold an account for hours: somebody who fills all of these names
    /// would hold every account.
    Many = 1 << 22,
}

/// Sets these hashes apart from everything else that is made with the same secret.
const PURPOSE: &[u8] = b"discogsography request limits";

/// A hash of who somebody is.
pub(super) type Hash = [u8; 16];

/// Whom a count is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom<'a> {
    /// A network of clients.
    Network(Network),
    /// An account that may or may not exist.
    Email(&'a str),
    /// Who is signed in.
    User(Uuid),
}

/// Makes hashes. Its `Debug` shows no key.
pub(super) struct Hasher(Hmac<Sha256>);

impl Hasher {
    pub(super) fn new(secret: &[u8]) -> Self {
        let purpose = keyed(secret).chain_update(PURPOSE).finalize().into_bytes();
        Self(keyed(&purpose))
    }

    /// A hash that tells everybody apart.
    pub(super) fn hash(&self, whom: Whom<'_>) -> Hash {
        let mac = self.0.clone();
        let mac = match whom {
            Whom::Network(network) => match (network.address(), network.prefix()) {
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
            Whom::Email(email) => mac.chain_update(b"@").chain_update(email),
            Whom::User(id) => mac.chain_update(b"u").chain_update(id.as_bytes()),
        };
        let digest = mac.finalize().into_bytes();
        std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default())
    }
}

/// The name of the count of a kind for the client with this hash.
pub(super) fn name([a, b, c, d, ..]: Hash, kind: &str, names: Names) -> String {
    let number = u32::from_be_bytes([a, b, c, d]) % names as u32;
    match names {
        Names::Few => format!("{kind}:{number:05x}"),
        Names::Many => format!("{kind}:{number:06x}"),
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let Ok(keyed) = Hmac::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length (RFC 2104)")
    };
    keyed
}

#[cfg(test)]
mod tests {
    use super::{Hasher, Names, Whom};
    use crate::model::Network;

    fn name(secret: &str, address: &str, prefix: u8) -> String {
        let network = Network::around(address.parse().unwrap(), 32, prefix);
        let hash = Hasher::new(secret.as_bytes()).hash(Whom::Network(network));
        super::name(hash, "sign_in", Names::Few)
    }

    #[test]
    fn a_name_depends_on_the_secret_and_tells_nothing() {
        assert_eq!(name("one", "192.0.2.1", 64), name("one", "192.0.2.1", 64));
        assert_ne!(name("one", "192.0.2.1", 64), name("two", "192.0.2.1", 64));
        assert_ne!(name("one", "192.0.2.1", 64), name("one", "192.0.2.2", 64));
        assert!(!name("one", "192.0.2.1", 64).contains("192"));
    }

    /// Replicas of the version before this one have the same names.
    #[test]
    fn names_stay_what_they_are() {
        assert_eq!(name("one", "192.0.2.1", 64), "sign_in:12923");
        assert_eq!(name("one", "2001:db8::1", 64), "sign_in:357f0");
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        assert_eq!(name("one", "2001:db8::1", 64), name("one", "2001:db8::ffff:1", 64));
        assert_ne!(name("one", "2001:db8::1", 64), name("one", "2001:db8:0:1::1", 64));
        assert_eq!(name("one", "2001:db8::1", 56), name("one", "2001:db8:0:ff::1", 56));
        assert_ne!(name("one", "2001:db8::1", 56), name("one", "2001:db8::1", 48));
    }

    #[test]
    fn there_are_so_many_names_and_no_more() {
        for names in [Names::Few, Names::Many] {
            let largest = (0..=255).map(|byte| {
                let name = super::name([byte; 16], "sign_in", names);
                u32::from_str_radix(name.split_once(':').unwrap().1, 16).unwrap()
            });
            let largest = largest.max().unwrap();
            assert!(largest < names as u32 && largest > names as u32 / 2, "{largest}");
        }
    }
}
