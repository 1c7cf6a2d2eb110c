//! Keys and tokens that Python made, and tokens that must be refused.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic")]

use fernet_seal::{FernetKey, KeyError, MasterKey, OpenError, looks_sealed};
use secrecy::ExposeSecret as _;

const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OAUTH: &str = "fernet:Yk7S557qhvrDU6-1Iny7A8-yvuMdSbh5Cfmt7y48_VU=";
const TOTP: &str = "fernet:bMLI4nNAvoPznKu-XjU4nuL7vt06U6_ceJ55IEiATOg=";
const TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD4vthZh8XFGETYjM0kUSvlMyGZv1hWRcHHOOyhhHiydldf7lW8_Y2eVAfC_lWLKpNg==";
const EMPTY_TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD8KXMQKV6EUCDhcopTjgFLdgn9Xf-qVa6PRRwbUwWprjJZ-8994d3ExQHbFUmgjlhA==";
const TOTP_TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD1yPMhl7c6y0z03lOq-4-k43Qfn1DO3U4FQgPFTih1PcIBxxwbTUeqaqmjq7qKZIc8gU-9aPoJ5meDRyNJIyvG1J73aygF3u-Ll9rvLJAtA_";
const UNPADDED: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD8IIOSlZh9Tk7bkdM3WtcMJRPTF5BsxjUsfgijLTqi7rZxq_u4gqFMB2KVYLB3q6Gw==";
const NOT_UTF_8: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0OD_d1YWdE_hlifx0FhZwCyMZI8dLywQPsUPsmvp48gOke6IJw1bHhClp5eQAI0fEilw==";
const NOW: u64 = 1_700_000_000;
const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn key(master: &str, purpose: &str) -> FernetKey {
    MasterKey::parse(master).unwrap().fernet_key(purpose)
}

fn opened(key: &FernetKey, token: &str) -> Result<String, OpenError> {
    key.open(token).map(|plain| plain.expose_secret().to_owned())
}

#[test]
fn seals_and_opens_what_python_does() {
    for (key, direct, plain, token) in [
        (key(MASTER, "oauth-tokens"), OAUTH, "tokén ☃", TOKEN),
        (key(MASTER, "oauth-tokens"), OAUTH, "", EMPTY_TOKEN),
        (key(MASTER, "totp-secrets"), TOTP, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", TOTP_TOKEN),
    ] {
        for key in [key, self::key(direct, "any purpose")] {
            assert_eq!(key.seal(plain, NOW, IV), token);
            assert_eq!(opened(&key, token).as_deref(), Ok(plain));
            assert_eq!(opened(&key, &format!("\r\n\t\x0b\x0c {token}\n")).as_deref(), Ok(plain));
        }
    }
}

/// The documented example of the Python service, which people have used as it is.
#[test]
fn a_weak_master_key_gives_the_key_that_python_derives() {
    let direct = "fernet:175EpatallC_m5TB9PUyF1TI1wQS5guKRbNCSdGFjZY=";
    let token = key("your-master-key-here", "oauth-tokens").seal("", NOW, IV);
    assert_eq!(token, key(direct, "any purpose").seal("", NOW, IV));
}

/// Vector `generate.json` of the Fernet specification.
#[test]
fn agrees_with_the_specification() {
    let token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    let key = key("fernet:cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=", "");
    assert_eq!(key.seal("hello", 499_162_800, IV), token);
}

#[test]
fn master_keys_are_read_as_python_reads_them() {
    let same_as = |text: &str, bytes: &str| {
        let token = key(text, "p").seal("", NOW, IV);
        token == key(bytes, "p").seal("", NOW, IV)
    };
    assert!(same_as("your-master-key-here", "your+master+key+here"));
    assert!(same_as("\tA\nA!=E.CAw==== = ", "AAECAw=="));
    assert!(same_as("AB=\u{0}=", "AA=="), "unused bits are ignored");
    assert!(same_as("", "===="));
    for (text, error) in [
        ("A", KeyError::Incomplete),
        ("A===", KeyError::Incomplete),
        ("AA=", KeyError::Incomplete),
        ("AAA", KeyError::Incomplete),
        ("YQ==YQ==", KeyError::Ambiguous),
        ("YWE=Y", KeyError::Ambiguous),
        ("AAAé", KeyError::NotAscii),
        ("fernet:AAECAw==", KeyError::NotAFernetKey),
        ("fernet:", KeyError::NotAFernetKey),
    ] {
        assert_eq!(MasterKey::parse(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn a_key_of_fewer_than_32_bytes_is_weak() {
    let is_weak = |text: &str| MasterKey::parse(text).unwrap().is_weak();
    assert!(is_weak("") && is_weak("your-master-key-here"));
    assert!(is_weak(&"A".repeat(4 * 10)) && !is_weak(&"A".repeat(4 * 11)));
    assert!(!is_weak(MASTER) && !is_weak(OAUTH));
}

#[test]
fn a_generated_key_is_read_as_the_same_bytes() {
    let random = std::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(MasterKey::generate(&random).expose_secret(), MASTER);
}

#[test]
fn keys_are_told_apart_and_never_printed() {
    let parse = |text: &str| MasterKey::parse(text).unwrap();
    assert_eq!(parse(MASTER).fingerprint(), parse(&format!(" {MASTER}=")).fingerprint());
    let direct = parse(&format!("fernet:{MASTER}"));
    assert!(direct.is_direct() && !parse(MASTER).is_direct());
    let fingerprints = [parse(MASTER), direct, parse("")].map(|key| key.fingerprint());
    assert_eq!(fingerprints, ["05ebd434", "e882ea3b", "a6a717d8"]);
    assert_eq!(
        format!("{:?} {:?}", parse(MASTER), parse(OAUTH)),
        "MasterKey(Derived(SecretBox<[u8]>([REDACTED]))) \
         MasterKey(Direct(FernetKey(SecretBox<[[u8; 16]; 2]>([REDACTED]))))"
    );
}

#[test]
fn only_strict_base64_is_opened() {
    let key = key(MASTER, "oauth-tokens");
    for token in [
        String::new(),
        "gAAAAA==".to_owned(),
        TOKEN.replace("==", ""),
        TOKEN.replace("==", "="),
        TOKEN.replace("==", "==="),
        TOKEN.replace("Ng==", "Nh=="),
        TOKEN.replace('_', "/"),
        TOKEN.replace("_EA", "_\nEA"),
        TOKEN.replace("_EA", "_!EA"),
        format!("{TOKEN}\u{a0}"),
        TOKEN.replace("gAAA", "gQAA"),
    ] {
        assert_eq!(opened(&key, &token), Err(OpenError::NotAToken), "{token}");
    }
    assert_eq!(opened(&self::key(MASTER, "other"), TOKEN), Err(OpenError::OtherKeyOrChanged));
}

/// Signed with the right key: a block of zeros, which is no padding, and a text that is not UTF-8.
#[test]
fn a_token_without_text_is_refused() {
    let key = key(OAUTH, "");
    for token in [UNPADDED, NOT_UTF_8] {
        assert_eq!(opened(&key, token), Err(OpenError::NotText));
    }
}

#[test]
fn damaged_tokens_never_pass_for_plain_text() {
    for token in [TOKEN, EMPTY_TOKEN, TOTP_TOKEN] {
        assert!(looks_sealed(token) && looks_sealed(&format!("  {token}\n")));
        assert!(looks_sealed(token.trim_end_matches('=')));
        assert!(looks_sealed(&token.replace("lU", "!U")));
        assert!(looks_sealed(&token.replace("gAAA", "gQAA")));
    }
    let alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
    for plain in ["", "gAAAA", alphabet, &format!("gAAAA{alphabet}"), &alphabet.repeat(4)] {
        assert!(!looks_sealed(plain), "{plain}");
    }
}
