//! A signed request is accepted, and refused after any change.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic")]

use oauth1::{Authorization, CheckError, Consumer, Request, Target, Token};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_assume, proptest};
use secrecy::{ExposeSecret, SecretString};

/// A signed request as both sides see it.
#[derive(Debug, Clone)]
struct Signed {
    url: String,
    form: String,
    consumer: Consumer,
    token: Token,
    header: String,
}

fn signed() -> impl Strategy<Value = Signed> {
    let url = r"https?://[a-z]{1,9}\.example(:[1-9][0-9]{0,4})?/[!-~&&[^?#]]{0,20}(\?[a-z]{1,3}=[ -~&&[^#%&+ ]]{0,9})?";
    let sent = (url, "[a-z]{1,4}=[a-z0-9]{0,9}");
    let protocol = (any::<String>(), any::<String>(), any::<String>());
    let secrets = (any::<String>(), any::<String>());
    (sent, protocol, secrets, any::<u64>()).prop_map(|(sent, protocol, secrets, timestamp)| {
        let consumer = Consumer { key: protocol.0, secret: SecretString::from(secrets.0) };
        let token = Token { token: protocol.1, secret: SecretString::from(secrets.1) };
        let (url, form) = sent;
        let header = Request {
            target: Target { method: "POST", url: &url, form: Some(&form) },
            consumer: &consumer,
            token: Some(&token),
            callback: None,
            verifier: Some(&protocol.2),
            nonce: "0123456789abcdef",
            timestamp,
        }
        .authorization()
        .unwrap();
        Signed { url, form, consumer, token, header }
    })
}

impl Signed {
    fn target(&self) -> Target<'_> {
        Target { method: "POST", url: &self.url, form: Some(&self.form) }
    }

    fn verify(&self, target: Target<'_>) -> Result<(), CheckError> {
        Authorization::parse(&self.header).unwrap().verify(
            target,
            &self.consumer.secret,
            Some(&self.token.secret),
        )
    }
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted(signed in signed()) {
        let header = Authorization::parse(&signed.header).unwrap();
        prop_assert_eq!(header.parameter("oauth_token"), Some(signed.token.token.as_str()));
        prop_assert_eq!(signed.verify(signed.target()), Ok(()));
    }

    #[test]
    fn another_method_url_or_form_is_refused(signed in signed(), extra in "[a-z]{1,5}") {
        let refused = Err(CheckError::WrongSignature);
        let target = signed.target();
        prop_assert_eq!(signed.verify(Target { method: "GET", ..target }), refused);
        let with_query = if signed.url.contains('?') { "&" } else { "?" };
        let url = format!("{}{with_query}{extra}", signed.url);
        prop_assert_eq!(signed.verify(Target { url: &url, ..target }), refused);
        let url = signed.url.replacen("://", &format!("://{extra}"), 1);
        prop_assert_eq!(signed.verify(Target { url: &url, ..target }), refused);
        let url = signed.url.replacen(".example", ".example:65536", 1);
        let verified = signed.verify(Target { url: &url, ..target });
        prop_assert!(verified.is_err());
        let form = format!("{}{extra}", signed.form);
        prop_assert_eq!(signed.verify(Target { form: Some(&form), ..target }), refused);
        prop_assert_eq!(signed.verify(Target { form: None, ..target }), refused);
    }

    #[test]
    fn another_secret_is_refused(mut signed in signed(), other in any::<String>()) {
        prop_assume!(other != signed.token.secret.expose_secret());
        signed.token.secret = SecretString::from(other);
        prop_assert_eq!(signed.verify(signed.target()), Err(CheckError::WrongSignature));
    }

    #[test]
    fn a_changed_header_is_refused(signed in signed(), at in any::<proptest::sample::Index>()) {
        let position = at.index(signed.header.len());
        let mut changed = signed.header.clone().into_bytes();
        changed[position] = if changed[position] == b'7' { b'8' } else { b'7' };
        let changed = String::from_utf8(changed).unwrap();
        prop_assume!(!same_meaning(&changed, &signed.header));
        let target = signed.target();
        let accepted = Authorization::parse(&changed).is_ok_and(|header| {
            let secret = Some(&signed.token.secret);
            header.verify(target, &signed.consumer.secret, secret).is_ok()
        });
        prop_assert!(!accepted, "{changed}");
    }

    #[test]
    fn any_text_is_parsed_or_refused_in_peace(header in any::<String>()) {
        let _ = Authorization::parse(&header);
        let _ = Authorization::parse(&format!("OAuth {header}"));
    }
}

/// Different spellings of the same header, which are not changes.
fn same_meaning(one: &str, other: &str) -> bool {
    let sorted = |header: &str| {
        let header = Authorization::parse(header).ok()?;
        let mut all: Vec<_> =
            header.parameters().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        all.sort();
        Some(all)
    };
    sorted(one).is_some() && sorted(one) == sorted(other)
}
