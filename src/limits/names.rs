//! The names under which counts are kept: keyed hashes, so that neither an address nor an email
//! can be read from a store.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// So many names there are for each limit: more addresses than that share them.
const NAMES: u32 = 1 << 18;

/// Sets these hashes apart from everything else that is made with the same secret.
const PURPOSE: &[u8] = b"discogsography request limits";

/// A hash of who somebody is.
pub(super) type Hash = [u8; 16];

/// Whom a count is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom<'a> {
    /// Where a request comes from.
    Address(IpAddr),
    /// An account that may or may not exist.
    Email(&'a str),
    /// Who is signed in.
    User(Uuid),
}

/// Makes names. Its `Debug` shows no key.
pub(super) struct Names(Hmac<Sha256>);

impl Names {
    pub(super) fn new(secret: &[u8]) -> Self {
        let purpose = keyed(secret).chain_update(PURPOSE).finalize().into_bytes();
        Self(keyed(&purpose))
    }

    /// A hash that tells everybody apart.
    pub(super) fn hash(&self, whom: Whom<'_>) -> Hash {
        let mac = self.0.clone();
        let mac = match whom {
            Whom::Address(IpAddr::V4(address)) => {
                mac.chain_update(b"4").chain_update(address.octets())
            }
            // A customer gets a network of this size, and can take any address in it.
            Whom::Address(IpAddr::V6(address)) => {
                mac.chain_update(b"6").chain_update(&address.octets()[..8])
            }
            Whom::Email(email) => mac.chain_update(b"@").chain_update(email),
            Whom::User(id) => mac.chain_update(b"u").chain_update(id.as_bytes()),
        };
        let digest = mac.finalize().into_bytes();
        std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default())
    }
}

/// The name of a limit's count of whoever has this hash.
pub(super) fn name([a, b, c, d, ..]: Hash, limit: &str) -> String {
    format!("{limit}:{:05x}", u32::from_be_bytes([a, b, c, d]) % NAMES)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let Ok(keyed) = Hmac::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length (RFC 2104)")
    };
    keyed
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Names, Whom};

    fn name(secret: &str, address: &str) -> String {
        let address: IpAddr = address.parse().unwrap();
        super::name(Names::new(secret.as_bytes()).hash(Whom::Address(address)), "sign_in")
    }

    #[test]
    fn a_name_depends_on_the_secret_and_tells_nothing() {
        assert_eq!(name("one", "192.0.2.1"), name("one", "192.0.2.1"));
        assert_ne!(name("one", "192.0.2.1"), name("two", "192.0.2.1"));
        assert_ne!(name("one", "192.0.2.1"), name("one", "192.0.2.2"));
        assert!(!name("one", "192.0.2.1").contains("192"));
    }

    #[test]
    fn addresses_of_one_network_of_64_bits_count_together() {
        assert_eq!(name("one", "2001:db8::1"), name("one", "2001:db8::ffff:1"));
        assert_ne!(name("one", "2001:db8::1"), name("one", "2001:db8:0:1::1"));
    }

    #[test]
    fn there_are_so_many_names_and_no_more() {
        for last in 0..=255 {
            let name = name("one", &format!("192.0.2.{last}"));
            let (_, digits) = name.split_once(':').unwrap();
            assert!(u32::from_str_radix(digits, 16).unwrap() < super::NAMES, "{name}");
        }
    }
}
