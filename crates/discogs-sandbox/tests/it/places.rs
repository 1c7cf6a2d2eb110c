//! The ways in which clients send OAuth parameters: header, query, form body or spread over two
//! of them, with HMAC-SHA1 and PLAINTEXT. A wrong signature is refused in each.

use std::collections::HashMap;

use oauth1::{Authorization, Token};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{App, USER_AGENT, With, assert_message, assert_plain, pairs_in, token_in};

const FORM: &str = "application/x-www-form-urlencoded";
const START: &str = "/oauth/request_token";
const EXCHANGE: &str = "/oauth/access_token";
const IDENTITY: &str = "/oauth/identity";

/// Where a call carries its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Query,
    Form,
    /// The callback or the verifier in the query, the others in the header.
    HeaderAndQuery,
    /// The callback or the verifier in the form body, the others in the header.
    HeaderAndForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    HmacSha1,
    Plaintext,
}

const PLACES: [Place; 5] =
    [Place::Header, Place::Query, Place::Form, Place::HeaderAndQuery, Place::HeaderAndForm];

/// Every way to send a call.
fn ways() -> impl Iterator<Item = (Place, Signature)> {
    let signatures = [Signature::HmacSha1, Signature::Plaintext];
    PLACES.into_iter().flat_map(move |place| signatures.map(|signature| (place, signature)))
}

impl Signature {
    /// The signed parameters of a call; the base string does not depend on where they are sent.
    fn parameters(
        self,
        app: &App,
        method: &Method,
        path: &str,
        with: With<'_>,
    ) -> HashMap<String, String> {
        let header = Authorization::parse(&app.header(method, path, with)).unwrap();
        let parameters = header.parameters();
        let mut parameters: HashMap<_, _> =
            parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if self == Self::Plaintext {
            let secret = with.token.map_or("", |token| token.secret.expose_secret());
            let signature = format!("{}&{secret}", app.consumer.secret.expose_secret());
            parameters.insert("oauth_signature_method".to_owned(), "PLAINTEXT".to_owned());
            parameters.insert("oauth_signature".to_owned(), signature);
        }
        parameters
    }
}

impl Place {
    async fn send(
        self,
        app: &App,
        method: Method,
        path: &str,
        parameters: HashMap<String, String>,
    ) -> Response {
        let is_apart = |name: &str| matches!(name, "oauth_callback" | "oauth_verifier");
        let (in_header, elsewhere): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|(name, _)| match self {
                Self::Header => true,
                Self::Query | Self::Form => false,
                Self::HeaderAndQuery | Self::HeaderAndForm => !is_apart(name),
            });
        let encoded = encoded(&elsewhere);
        let in_query = matches!(self, Self::Query | Self::HeaderAndQuery);
        let url = if in_query { format!("{path}?{encoded}") } else { path.to_owned() };
        let call = app.client.request(method, app.url(&url)).header("user-agent", USER_AGENT);
        let call = match header(&in_header) {
            Some(header) => call.header("authorization", header),
            None => call,
        };
        let call = if in_query { call } else { call.header("content-type", FORM).body(encoded) };
        call.send().await.unwrap()
    }
}

fn encoded(parameters: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn header(parameters: &[(String, String)]) -> Option<String> {
    let percent = |text: &str| {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        encoded.replace('+', "%20")
    };
    let pairs = parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", percent(value)));
    let pairs: Vec<_> = pairs.collect();
    (!pairs.is_empty()).then(|| format!("OAuth {}", pairs.join(", ")))
}

const OOB: With<'_> = With { token: None, callback: Some("oob"), verifier: None };

fn with_other_secret(token: &Token) -> Token {
    Token { token: token.token.clone(), secret: SecretString::from("another secret") }
}

#[tokio::test]
async fn a_whole_flow_works_in_every_way() {
    let app = App::start().await;
    for (place, signature) in ways() {
        let send = async |method: Method, path: &str, with: With<'_>| {
            let parameters = signature.parameters(&app, &method, path, with);
            place.send(&app, method, path, parameters).await
        };
        for (start, exchange) in [(Method::GET, Method::POST), (Method::POST, Method::GET)] {
            let token = token_in(send(start, START, OOB).await).await;
            let verifier = app.sandbox.approve(&token.token).unwrap();
            let with = With { token: Some(&token), verifier: Some(&verifier), callback: None };
            let token = token_in(send(exchange, EXCHANGE, with).await).await;
            let with = With { token: Some(&token), ..With::default() };
            let identity = send(Method::GET, IDENTITY, with).await;
            assert_eq!(identity.status(), StatusCode::OK, "{place:?} {signature:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_every_way() {
    let mut app = App::start().await;
    let token = app.request_token().await;
    let access_token = with_other_secret(&app.access_token().await);
    let wrong = "Invalid signature.";
    let verifier = app.sandbox.approve(&token.token).unwrap();
    let forged = with_other_secret(&token);
    let consumer_secret = app.consumer.secret.clone();
    for (place, signature) in ways() {
        app.consumer.secret = SecretString::from("another secret");
        let parameters = signature.parameters(&app, &Method::GET, START, OOB);
        assert_plain(place.send(&app, Method::GET, START, parameters).await, 401, wrong).await;

        app.consumer.secret = consumer_secret.clone();
        let with = With { token: Some(&forged), verifier: Some(&verifier), callback: None };
        let parameters = signature.parameters(&app, &Method::POST, EXCHANGE, with);
        assert_plain(place.send(&app, Method::POST, EXCHANGE, parameters).await, 401, wrong).await;

        let with = With { token: Some(&access_token), ..With::default() };
        let parameters = signature.parameters(&app, &Method::GET, IDENTITY, with);
        let answer = place.send(&app, Method::GET, IDENTITY, parameters).await;
        let text = "You must authenticate to access this resource.";
        assert_message(answer, 401, text).await;
    }
    // None of this has used up the request token.
    let exchanged = app.exchange_call(&token, &verifier).send().await.unwrap();
    assert_eq!(exchanged.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_call_can_not_be_replayed_in_any_way() {
    let app = App::start().await;
    for (place, signature) in ways() {
        let parameters = signature.parameters(&app, &Method::POST, START, OOB);
        let first = place.send(&app, Method::POST, START, parameters.clone()).await;
        assert_eq!(first.status(), StatusCode::OK, "{place:?} {signature:?}");
        let again = place.send(&app, Method::POST, START, parameters).await;
        assert_plain(again, 401, "This oauth_nonce was used before.").await;
    }
}

#[tokio::test]
async fn a_missing_callback_is_out_of_band() {
    let app = App::start().await;
    for (place, signature) in ways() {
        let parameters = signature.parameters(&app, &Method::POST, START, With::default());
        let started = pairs_in(place.send(&app, Method::POST, START, parameters).await).await;
        assert_eq!(started["oauth_callback_confirmed"], "true");
    }
}

#[tokio::test]
async fn plaintext_needs_neither_nonce_nor_timestamp() {
    let app = App::start().await;
    for omitted in
        [["oauth_nonce"].as_slice(), &["oauth_timestamp"], &["oauth_nonce", "oauth_timestamp"]]
    {
        for place in PLACES {
            let mut parameters = Signature::Plaintext.parameters(&app, &Method::POST, START, OOB);
            parameters.retain(|name, _| !omitted.contains(&name.as_str()));
            let answer = place.send(&app, Method::POST, START, parameters).await;
            assert_eq!(answer.status(), StatusCode::OK, "{place:?} {omitted:?}");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_has_no_oauth_parameters() {
    let app = App::start().await;
    let parameters = Signature::Plaintext.parameters(&app, &Method::POST, START, OOB);
    let body = encoded(&parameters.into_iter().collect::<Vec<_>>());
    for content_type in [None, Some("text/plain"), Some("application/json")] {
        let call = app.client.post(app.url(START)).header("user-agent", USER_AGENT);
        let call = match content_type {
            Some(content_type) => call.header("content-type", content_type),
            None => call,
        };
        let answer = call.body(body.clone()).send().await.unwrap();
        assert_plain(answer, 401, "Parameter not found: oauth_consumer_key").await;
    }
    let call = app.client.post(app.url(START)).header("user-agent", USER_AGENT);
    let call = call.header("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8");
    assert_eq!(call.body(body).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_parameter_with_two_values_is_refused() {
    let app = App::start().await;
    let text = "The OAuth request could not be understood: parameter given twice: oauth_callback.";
    for signature in [Signature::HmacSha1, Signature::Plaintext] {
        let parameters = signature.parameters(&app, &Method::POST, START, OOB);
        let path = format!("{START}?oauth_callback=other");
        for place in [Place::Header, Place::Form] {
            let answer = place.send(&app, Method::POST, &path, parameters.clone()).await;
            assert_plain(answer, 400, text).await;
        }
    }
}

#[tokio::test]
async fn a_parameter_of_the_header_may_be_repeated_in_the_query() {
    let app = App::start().await;
    for signature in [Signature::HmacSha1, Signature::Plaintext] {
        let parameters = signature.parameters(&app, &Method::POST, START, OOB);
        let path = format!("{START}?oauth_callback=oob");
        let answer = Place::Header.send(&app, Method::POST, &path, parameters).await;
        assert_eq!(answer.status(), StatusCode::OK, "{signature:?}");
    }
}
