//! The portable implementation: the `pbkdf2` library, one password after another.

use std::num::NonZeroU32;

use sha2::Sha256;

use crate::{Job, KEY_LENGTH, Key};

pub(crate) fn derive(jobs: &[Job<'_>], iterations: NonZeroU32) -> Vec<Key> {
    let derive = |job: &Job<'_>| {
        let mut key = Key::from([0; KEY_LENGTH]);
        pbkdf2::pbkdf2_hmac::<Sha256>(job.password, job.salt, iterations.get(), key.0.as_mut());
        key
    };
    jobs.iter().map(derive).collect()
}

#[cfg(test)]
mod tests {
    use super::{Job, NonZeroU32, derive};

    /// The third vector of RFC 7914 section 11, in its first block.
    #[test]
    fn it_derives_what_the_rfc_says() {
        let job = Job { password: b"Password", salt: b"NaCl" };
        let keys = derive(&[job, job], NonZeroU32::new(80_000).unwrap());
        for key in keys {
            assert_eq!(key.as_bytes()[..8], [0x4d, 0xdc, 0xd8, 0xf6, 0x0b, 0x98, 0xbe, 0x21]);
        }
    }
}
