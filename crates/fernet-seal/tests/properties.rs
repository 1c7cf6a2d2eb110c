//! What holds for any text, token and key.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use fernet_seal::{FernetKey, MasterKey, OpenError, looks_sealed};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use secrecy::ExposeSecret as _;

fn key() -> FernetKey {
    MasterKey::parse("a key of any kind: x==").unwrap().fernet_key("purpose")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_sealed_is_opened(plain in ".*", now in 0..1_u64 << 42, iv in any::<[u8; 16]>()) {
        let token = key().seal(&plain, now, iv);
        prop_assert!(looks_sealed(&token));
        let opened = key().open(&token).unwrap();
        prop_assert_eq!(opened.expose_secret(), plain);
    }

    #[test]
    fn any_changed_bit_is_refused_and_is_not_plain(plain in ".{0,40}", iv in any::<[u8; 16]>()) {
        let token = URL_SAFE.decode(key().seal(&plain, 1_700_000_000, iv)).unwrap();
        for bit in 0..token.len() * 8 {
            let mut changed = token.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = URL_SAFE.encode(changed);
            let error = if bit < 8 { OpenError::NotAToken } else { OpenError::OtherKeyOrChanged };
            prop_assert_eq!(key().open(&changed).unwrap_err(), error);
            prop_assert!(looks_sealed(&changed));
        }
    }

    #[test]
    fn hostile_input_does_no_harm(text in ".*", digits in "[A-Za-z0-9_=-]{90,200}") {
        for text in [text, digits] {
            prop_assert!(key().open(&text).is_err());
            let _ = (MasterKey::parse(&text), MasterKey::parse(&format!("fernet:{text}")));
            let _ = looks_sealed(&format!("gAAAA{text}"));
        }
    }
}
