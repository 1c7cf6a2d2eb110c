//! Protocol parameters in the header, the query and the form body (RFC 5849 section 3.5), signed
//! with HMAC-SHA1 and PLAINTEXT. Another library made the requests of `places.json`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may panic")]

use oauth1::{Authorization, CheckError, ReadError, Target};
use secrecy::SecretString;
use serde_json::Value;

const URL: &str = "https://example.com/a";

/// A request as it arrives, with the client's secrets.
#[derive(Clone)]
struct Sent {
    name: String,
    method: String,
    url: String,
    header: Option<String>,
    form: Option<String>,
    consumer_secret: SecretString,
    token_secret: Option<SecretString>,
}

impl Sent {
    fn all() -> Vec<Self> {
        let file: Value = serde_json::from_str(include_str!("places.json")).unwrap();
        let cases = file["cases"].as_array().unwrap().iter().map(|case| {
            let text = |name: &str| case[name].as_str().map(str::to_owned);
            Self {
                name: text("name").unwrap(),
                method: text("method").unwrap(),
                url: text("url").unwrap(),
                header: text("authorization"),
                form: text("form"),
                consumer_secret: SecretString::from(text("consumer_secret").unwrap()),
                token_secret: text("token_secret").map(SecretString::from),
            }
        });
        cases.collect()
    }

    fn target(&self) -> Target<'_> {
        Target { method: &self.method, url: &self.url, form: self.form.as_deref() }
    }

    fn read(&self) -> Authorization {
        Authorization::of_request(self.header.as_deref(), self.target()).unwrap()
    }

    fn verify(&self) -> Result<(), CheckError> {
        self.read().verify(self.target(), &self.consumer_secret, self.token_secret.as_ref())
    }

    /// The same request with every occurrence of a text replaced.
    fn with(&self, from: &str, to: &str) -> Self {
        let replaced = |text: &String| text.replace(from, to);
        Self {
            url: replaced(&self.url),
            header: self.header.as_ref().map(replaced),
            form: self.form.as_ref().map(replaced),
            ..self.clone()
        }
    }
}

#[test]
fn requests_of_the_other_library_are_accepted() {
    for sent in Sent::all() {
        assert_eq!(sent.verify(), Ok(()), "{}", sent.name);
        assert_eq!(sent.read().parameter("oauth_consumer_key"), Some("sandbox-key"));
    }
}

#[test]
fn the_verifier_is_found_in_every_place() {
    let verifiers = Sent::all().into_iter().filter_map(|sent| {
        let authorization = sent.read();
        authorization.parameter("oauth_verifier").map(str::to_owned)
    });
    let expected = ["a b+é", "hfdp7dh39d"];
    assert_eq!(verifiers.collect::<Vec<_>>(), [expected, expected].concat());
}

#[test]
fn another_secret_is_refused_in_every_place() {
    let refused = Err(CheckError::WrongSignature);
    let other = SecretString::from("other");
    for sent in Sent::all() {
        let sent_by_another = Sent { consumer_secret: other.clone(), ..sent.clone() };
        assert_eq!(sent_by_another.verify(), refused, "{}", sent.name);
        let with_another_token = Sent { token_secret: Some(other.clone()), ..sent.clone() };
        assert_eq!(with_another_token.verify(), refused, "{}", sent.name);
        let shortened = sent.with("3D", "3");
        let shortened = shortened.with("%26", "%2");
        let read = Authorization::of_request(shortened.header.as_deref(), shortened.target());
        let accepted = read.is_ok_and(|authorization| {
            let secret = shortened.token_secret.as_ref();
            authorization.verify(shortened.target(), &shortened.consumer_secret, secret).is_ok()
        });
        assert!(!accepted, "{}", sent.name);
    }
}

#[test]
fn hmac_covers_every_parameter_in_every_place() {
    let signed = Sent::all().into_iter().filter(|sent| sent.name.starts_with("HMAC-SHA1"));
    for sent in signed {
        let replacements = [
            ("7d8f3e4a", "7d8f3e4b"),
            ("179", "178"),
            ("oob", "oob2"),
            ("hfdp", "hfdq"),
            ("c2", "c3"),
        ];
        for (from, to) in replacements {
            let changed = sent.with(from, to);
            let is_changed = (&changed.url, &changed.header, &changed.form)
                != (&sent.url, &sent.header, &sent.form);
            let expected = if is_changed { Err(CheckError::WrongSignature) } else { Ok(()) };
            assert_eq!(changed.verify(), expected, "{}: {to}", sent.name);
        }
    }
}

#[test]
fn a_parameter_of_the_header_may_be_repeated_elsewhere() {
    let header = Some("OAuth oauth_token=\"a\", oauth_nonce=\"n\"");
    let in_query = Target::new("GET", "https://example.com/a?oauth_token=a");
    let in_form = Target { form: Some("oauth%5Ftoken=%61"), ..Target::new("GET", URL) };
    for target in [in_query, in_form] {
        let read = Authorization::of_request(header, target).unwrap();
        let parameters: Vec<_> = read.parameters().collect();
        assert_eq!(parameters, [("oauth_nonce", "n"), ("oauth_token", "a")]);
        // It is signed once.
        assert_eq!(
            read.signature_base_string(target).unwrap(),
            "GET&https%3A%2F%2Fexample.com%2Fa&oauth_nonce%3Dn%26oauth_token%3Da",
        );
    }
}

#[test]
fn a_parameter_given_twice_is_refused() {
    let duplicate = Err(ReadError::Duplicate("oauth_token".to_owned()));
    let header = Some("OAuth oauth_token=\"b\"");
    let query = "https://example.com/a?oauth_token=a";
    let (form, escaped) = (Some("oauth_token=a"), Some("oauth%5Ftoken=a"));
    for (header, url, form) in [
        (header, query, None),
        (header, URL, form),
        (header, URL, escaped),
        (Some("OAuth oauth_token=\"a\""), query, form),
        (None, query, form),
        (None, "https://example.com/a?oauth_token=a&oauth_token=a", None),
        (None, URL, Some("oauth_token=a&oauth_token=b")),
    ] {
        let target = Target { method: "POST", url, form };
        assert_eq!(Authorization::of_request(header, target), duplicate, "{header:?} {target:?}");
    }
}

#[test]
fn a_header_of_another_scheme_has_no_parameters() {
    let target = Target::new("GET", "https://example.com/a?oauth_token=a&realm=b");
    for header in [None, Some("Bearer abc"), Some("Basic YTpi")] {
        let read = Authorization::of_request(header, target).unwrap();
        assert_eq!(read.parameters().collect::<Vec<_>>(), [("oauth_token", "a")]);
    }
    let malformed = Authorization::of_request(Some("OAuth a"), target);
    assert_eq!(malformed, Err(ReadError::Malformed));
}

#[test]
fn unreadable_parameters_are_refused() {
    let read = |url: &str| Authorization::of_request(None, Target::new("GET", url)).map(|_| ());
    assert_eq!(read("https://example.com/?oauth_token=%FF"), Err(ReadError::NotUtf8));
    assert_eq!(read("https://example.com/?oauth_%FF=a"), Err(ReadError::NotUtf8));
    let many: Vec<_> = (0..33).map(|n| format!("oauth_{n}=")).collect();
    let url = |parameters: &[String]| format!("{URL}?{}", parameters.join("&"));
    assert_eq!(read(&url(&many)), Err(ReadError::TooMany));
    assert!(read(&url(&many[1..])).is_ok());
}

#[test]
fn a_signature_over_uncollected_parameters_is_refused() {
    let header = "OAuth oauth_signature_method=\"PLAINTEXT\", oauth_signature=\"s&\"";
    let target = Target::new("GET", "https://example.com/a?oauth_token=a");
    let verified = Authorization::parse(header).unwrap().verify(target, &"s".into(), None);
    assert!(matches!(verified, Err(CheckError::Url(_))), "{verified:?}");
    let read = Authorization::of_request(Some(header), target).unwrap();
    assert_eq!(read.verify(target, &"s".into(), None), Ok(()));
}
