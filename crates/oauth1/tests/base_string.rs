//! The base string equals that of the reference implementation, and differs for different requests.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may panic")]

mod reference;

use oauth1::{Authorization, Consumer, Request, Target, Token};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_assume, proptest};
use proptest::string::string_regex;
use secrecy::SecretString;

/// Queries and forms with everything that has several spellings.
const PAIRS: &str = r"(([a-c]|%[0-9a-fA-F]{2}|%[ -~&&[^#?]]|\+|[!-~&&[^#&?]]){0,6}&?){0,5}";

/// URLs with hosts, ports and paths in every spelling.
fn url() -> impl Strategy<Value = String> {
    let authority = r"([A-Za-z]{1,9}\.Example|\[::1\]|127\.0\.0\.1)(:|:80|:443|:[1-9][0-9]{1,3})?";
    let path = r"(/[!-~&&[^#?]]{0,12})?";
    let query = string_regex(&format!(r"(\?{PAIRS})?(#[!-~]{{0,5}})?")).unwrap();
    (r"(https?|HTTPS?|Http)", authority, path, query).prop_map(
        |(scheme, authority, path, query)| {
            format!("{scheme}://{authority}{path}{}", query.replace(' ', "+"))
        },
    )
}

fn is_protocol((name, _): &(String, String)) -> bool {
    name.starts_with("oauth_")
}

fn holds_protocol_parameters(url: &str, form: &str) -> bool {
    let query = url.split('#').next().and_then(|url| url.split_once('?'));
    let query = query.map_or("", |(_, query)| query);
    [query, form].into_iter().flat_map(reference::parameters).any(|pair| is_protocol(&pair))
}

/// A request as it is sent, with everything that is signed.
#[derive(Debug, Clone)]
struct Sent {
    method: String,
    url: String,
    consumer: [String; 2],
    token: [String; 2],
    callback: String,
    verifier: String,
    nonce: String,
    timestamp: u64,
}

fn sent() -> impl Strategy<Value = Sent> {
    let text = any::<String>;
    let credentials = ([text(), text()], [text(), text()]);
    let rest = (text(), text(), text(), any::<u64>());
    ("[A-Za-z]{1,7}", url(), credentials, rest).prop_map(|(method, url, credentials, rest)| {
        let (consumer, token) = credentials;
        let (callback, verifier, nonce, timestamp) = rest;
        Sent { method, url, consumer, token, callback, verifier, nonce, timestamp }
    })
}

impl Sent {
    fn header(&self) -> String {
        let [key, secret] = self.consumer.clone();
        let consumer = Consumer { key, secret: SecretString::from(secret) };
        let [token, secret] = self.token.clone();
        let token = Token { token, secret: SecretString::from(secret) };
        let request = Request {
            target: Target::new(&self.method, &self.url),
            consumer: &consumer,
            token: Some(&token),
            callback: Some(&self.callback),
            verifier: Some(&self.verifier),
            nonce: &self.nonce,
            timestamp: self.timestamp,
        };
        request.authorization().unwrap()
    }

    /// Whether this request is accepted with the header of another.
    fn is_accepted_with(&self, header: &str) -> bool {
        let header = Authorization::parse(header).unwrap();
        let [consumer, token] =
            [&self.consumer, &self.token].map(|pair| SecretString::from(pair[1].clone()));
        header.verify(Target::new(&self.method, &self.url), &consumer, Some(&token)).is_ok()
    }

    /// Every variant that differs in one signed thing, with a name.
    fn changed(&self, other: &str) -> Vec<(&'static str, Self)> {
        let with = |change: &dyn Fn(&mut Self)| {
            let mut changed = self.clone();
            change(&mut changed);
            changed
        };
        let longer = |text: &str| format!("{text}{other}");
        vec![
            ("method", with(&|sent| sent.method += "X")),
            ("scheme", with(&|sent| sent.url = other_scheme(&sent.url))),
            ("host", with(&|sent| sent.url = sent.url.replacen("://", "://x", 1))),
            ("consumer key", with(&|sent| sent.consumer[0] = longer(&sent.consumer[0]))),
            ("consumer secret", with(&|sent| sent.consumer[1] = longer(&sent.consumer[1]))),
            ("token", with(&|sent| sent.token[0] = longer(&sent.token[0]))),
            ("token secret", with(&|sent| sent.token[1] = longer(&sent.token[1]))),
            ("callback", with(&|sent| sent.callback = longer(&sent.callback))),
            ("verifier", with(&|sent| sent.verifier = longer(&sent.verifier))),
            ("nonce", with(&|sent| sent.nonce = longer(&sent.nonce))),
            ("timestamp", with(&|sent| sent.timestamp ^= 1)),
        ]
    }
}

fn other_scheme(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let other = if scheme.eq_ignore_ascii_case("http") { "https" } else { "http" };
    format!("{other}://{rest}")
}

proptest! {
    #[test]
    fn the_base_string_is_that_of_a_slow_reading(
        method in "[A-Za-z]{1,7}",
        url in url(),
        form in PAIRS,
        names in [any::<String>(), any::<String>()],
        values in [any::<String>(), any::<String>()],
    ) {
        prop_assume!(!holds_protocol_parameters(&url, &form));
        let protocol: Vec<_> = names.into_iter().zip(values).collect();
        let target = Target { method: &method, url: &url, form: Some(&form) };
        let given = protocol.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let base_string = target.signature_base_string(given);
        let expected = reference::base_string(&method, &url, &form, &protocol);
        prop_assert_eq!(base_string, Ok(expected));
    }

    #[test]
    fn whatever_is_signed_is_accepted_and_nothing_else_is(
        sent in sent(),
        other in ".{1,5}",
        from in any::<proptest::sample::Index>(),
    ) {
        prop_assume!(!holds_protocol_parameters(&sent.url, ""));
        let header = sent.header();
        prop_assume!(header.len() <= 8 * 1024);
        prop_assert!(sent.is_accepted_with(&header));
        // What the header carries was changed there, everything else at the receiver.
        let changed = sent.changed(&other);
        let (what, changed) = &changed[from.index(changed.len())];
        let signature = |header: &str| header.split("oauth_signature=").last().unwrap().to_owned();
        let theirs = changed.header();
        let swapped = theirs.replace(&signature(&theirs), &signature(&header));
        prop_assert!(!changed.is_accepted_with(&swapped), "another {what}: {swapped}");
    }
}
