//! The paths and their answers.

use std::time::Duration;

use hyper::header::{ALLOW, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::answer::Answer;
use crate::check::{Call, Received, Refusal};
use crate::desk::{ApprovalError, Desk, ExchangeError, RateState};
use crate::options::{BadSignature, Identity, Options, RefusedStatus};
use crate::page;
use crate::script::Step;

/// The only supported callback: the user copies the verifier (RFC 5849 section 2.1).
const OUT_OF_BAND: &str = "oob";

/// The step at a path.
pub(crate) fn step_at(path: &str) -> Option<Step> {
    match path {
        "/oauth/request_token" => Some(Step::RequestToken),
        "/oauth/authorize" => Some(Step::Authorize),
        "/oauth/access_token" => Some(Step::AccessToken),
        "/oauth/identity" => Some(Step::Identity),
        _ => None,
    }
}

/// Serves everything but the four steps: the files of the pages.
pub(crate) fn elsewhere(method: &Method, path: &str) -> Answer {
    let Some(asset) = page::asset(path) else {
        let message = "The requested resource was not found.";
        return Answer::message(StatusCode::NOT_FOUND, message);
    };
    if method == Method::GET { asset } else { wrong_method("GET") }
}

/// Performs a step.
pub(crate) fn answer(
    step: Step,
    received: &Received,
    options: &Options,
    desk: &mut Desk,
) -> Answer {
    let now = (options.clock)();
    let method = received.head.method.as_str();
    match (step, method) {
        (Step::Authorize, "GET") => question(received, options, desk, now),
        (Step::Authorize, "POST") => reply(received, options, desk, now),
        // Discogs documents POST at `access_token`; published clients also send GET.
        (Step::RequestToken | Step::AccessToken, "GET" | "POST") | (Step::Identity, "GET") => {
            api(step, received, options, desk, now)
        }
        (Step::RequestToken | Step::Authorize | Step::AccessToken, _) => wrong_method("GET, POST"),
        (Step::Identity, _) => wrong_method("GET"),
    }
}

fn wrong_method(allowed: &'static str) -> Answer {
    let message = "The requested method is not allowed here.";
    Answer::message(StatusCode::METHOD_NOT_ALLOWED, message)
        .with(ALLOW, HeaderValue::from_static(allowed))
}

/// The three API calls: checks the `User-Agent`, then the rate, then performs the step.
fn api(
    step: Step,
    received: &Received,
    options: &Options,
    desk: &mut Desk,
    now: Duration,
) -> Answer {
    if !received.has_user_agent() {
        let text = "Please send a User-Agent header that is unique to your application.";
        return Answer::plain(StatusCode::FORBIDDEN, text);
    }
    let rate = desk.rate.count(now);
    if rate.is_some_and(|rate| !rate.admitted) {
        let message = "You are making requests too quickly.";
        let answer = Answer::message(StatusCode::TOO_MANY_REQUESTS, message);
        return with_rate(answer, rate);
    }
    let answer = match step {
        Step::RequestToken => request_token(received, options, desk, now),
        Step::AccessToken => access_token(received, options, desk, now),
        Step::Identity | Step::Authorize => Ok(identity(received, options, desk, now)),
    };
    with_rate(answer.unwrap_or_else(|refusal| refusal.answer()), rate)
}

fn with_rate(answer: Answer, rate: Option<RateState>) -> Answer {
    let Some(rate) = rate else { return answer };
    let remaining = rate.limit.saturating_sub(rate.used);
    let header = HeaderName::from_static;
    answer
        .with(header("x-discogs-ratelimit"), rate.limit.into())
        .with(header("x-discogs-ratelimit-used"), rate.used.into())
        .with(header("x-discogs-ratelimit-remaining"), remaining.into())
}

fn request_token(
    received: &Received,
    options: &Options,
    desk: &mut Desk,
    now: Duration,
) -> Result<Answer, Refusal> {
    let call = Call::read(Step::RequestToken, received, options, now)?;
    call.verify(None, options, desk)?;
    // Published clients omit it if the user copies the verifier.
    if call.parameter("oauth_callback").unwrap_or(OUT_OF_BAND) != OUT_OF_BAND {
        let why = "oauth_callback must be oob; this sandbox knows no other";
        return Err(Refusal::Malformed(why.to_owned()));
    }
    let token = desk.new_request_token(options, now);
    Ok(Answer::form(&[
        ("oauth_token", &token.token),
        ("oauth_token_secret", token.secret.expose_secret()),
        ("oauth_callback_confirmed", "true"),
    ]))
}

fn access_token(
    received: &Received,
    options: &Options,
    desk: &mut Desk,
    now: Duration,
) -> Result<Answer, Refusal> {
    let call = Call::read(Step::AccessToken, received, options, now)?;
    let required = |name| {
        let missing = || Refusal::Malformed(format!("{name} is missing"));
        call.parameter(name).ok_or_else(missing)
    };
    let token = required("oauth_token")?;
    let Some(secret) = desk.request_secret(token, now) else {
        return Ok(not_exchanged(ExchangeError::Unknown, options));
    };
    call.verify(Some(&secret), options, desk)?;
    let verifier = required("oauth_verifier")?;
    Ok(match desk.exchange(token, verifier, options, now) {
        Ok(granted) => Answer::form(&[
            ("oauth_token", &granted.token),
            ("oauth_token_secret", granted.secret.expose_secret()),
        ]),
        Err(error) => not_exchanged(error, options),
    })
}

fn not_exchanged(error: ExchangeError, options: &Options) -> Answer {
    let text = match error {
        ExchangeError::Unknown => {
            "The request token is unknown, has expired, or was exchanged before."
        }
        ExchangeError::Pending => "The user has not yet authorized this request token.",
        ExchangeError::Denied => "The user has denied access.",
        ExchangeError::WrongVerifier => "The oauth_verifier is not the one the user was shown.",
    };
    let status = match (error, options.refused_status) {
        (ExchangeError::Denied, RefusedStatus::Unauthorized) => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    Answer::plain(status, text)
}

fn identity(received: &Received, options: &Options, desk: &mut Desk, now: Duration) -> Answer {
    match authenticated(received, options, desk, now) {
        Ok(digger) => {
            let name = form_urlencoded::byte_serialize(digger.username.as_bytes());
            let name = name.collect::<String>().replace('+', "%20");
            let body = json!({
                "id": digger.id,
                "username": digger.username,
                "resource_url": format!("{}/users/{name}", received.base()),
                "consumer_name": options.consumer_name,
            });
            Answer::json(StatusCode::OK, &body)
        }
        Err(refusal @ Refusal::WrongSignature)
            if options.bad_signature == BadSignature::Refused =>
        {
            refusal.answer()
        }
        Err(_) => {
            let message = "You must authenticate to access this resource.";
            Answer::message(StatusCode::UNAUTHORIZED, message)
        }
    }
}

/// The identity of the caller.
fn authenticated(
    received: &Received,
    options: &Options,
    desk: &mut Desk,
    now: Duration,
) -> Result<Identity, Refusal> {
    let call = Call::read(Step::Identity, received, options, now)?;
    let access = call.parameter("oauth_token").and_then(|token| desk.access(token));
    let (digger, secret) = access.ok_or(Refusal::Missing("oauth_token"))?;
    match call.verify(Some(&secret), options, desk) {
        Err(Refusal::WrongSignature) if options.bad_signature == BadSignature::Ignored => {}
        verified => verified?,
    }
    Ok(digger)
}

/// The page that asks for approval.
fn question(received: &Received, options: &Options, desk: &mut Desk, now: Duration) -> Answer {
    let query = received.head.uri.query().unwrap_or_default();
    let Some(token) = form_value(query.as_bytes(), "oauth_token") else {
        return no_token();
    };
    match desk.pending(&token, now) {
        Ok(()) => page::question(&token, &options.consumer_name, &options.digger.username),
        Err(error) => not_answerable(error),
    }
}

/// The user's choice on the page.
fn reply(received: &Received, options: &Options, desk: &mut Desk, now: Duration) -> Answer {
    let value = |name| form_value(&received.body, name);
    let Some(token) = value("oauth_token") else {
        return no_token();
    };
    if value("deny").is_some() {
        return match desk.deny(&token, now) {
            Ok(()) => page::denied(&options.consumer_name),
            Err(error) => not_answerable(error),
        };
    }
    if value("allow").as_deref() != Some("yes") {
        let text = "Press Authorize or Deny. A program sends allow=yes or deny=yes.";
        return page::problem(StatusCode::BAD_REQUEST, text);
    }
    match desk.approve(&token, options.digger.clone(), options.verifier_alphabet, now) {
        Ok(verifier) => page::code(&verifier, &options.consumer_name),
        Err(error) => not_answerable(error),
    }
}

fn no_token() -> Answer {
    let text = "This address needs an oauth_token. Go back to the application and start again.";
    page::problem(StatusCode::BAD_REQUEST, text)
}

fn not_answerable(error: ApprovalError) -> Answer {
    let (status, text) = match error {
        ApprovalError::Unknown => (
            StatusCode::NOT_FOUND,
            "This request is unknown or has expired. Go back to the application and start again.",
        ),
        ApprovalError::AlreadyAnswered => (
            StatusCode::CONFLICT,
            "This request has been answered already. If you did not keep the code, go back to the \
             application and start again.",
        ),
    };
    page::problem(status, text)
}

fn form_value(form: &[u8], name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(form);
    let pair = pairs.find(|(seen, _)| seen == name);
    pair.map(|(_, value)| value.into_owned())
}
