//! The pages of `/oauth/authorize`: plain HTML that needs no script.
//!
//! Every value is escaped. Must not know about tokens' states.

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use crate::answer::Answer;

/// Where the pages find their style.
pub(crate) const STYLESHEET_PATH: &str = "/sandbox.css";

const STYLESHEET: &str = "\
:root { color-scheme: light dark; }
body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 34rem; padding: 0 1rem; }
button { font: inherit; margin-right: 1rem; padding: .5rem 1.5rem; }
code { font-size: 1.6rem; user-select: all; }
";

const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Asks whether the application may be let in.
pub(crate) fn question(token: &str, consumer_name: &str, username: &str) -> Answer {
    let (token, username) = (escape(token), escape(username));
    let consumer_name = escape(consumer_name);
    let body = format!(
        "<h1>Let {consumer_name} use your account?</h1>\n\
         <p>You are signed in as <strong>{username}</strong>. <strong>{consumer_name}</strong> \
         asks to read and change your collection.</p>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n\
         <input type=\"hidden\" name=\"oauth_token\" value=\"{token}\">\n\
         <button name=\"allow\" value=\"yes\">Allow</button>\n\
         <button name=\"deny\" value=\"yes\">Deny</button>\n\
         </form>\n"
    );
    page(StatusCode::OK, "Authorize", &body)
}

/// Shows the verifier to copy.
pub(crate) fn pin(verifier: &str, consumer_name: &str) -> Answer {
    let (verifier, consumer_name) = (escape(verifier), escape(consumer_name));
    let body = format!(
        "<h1>Access allowed</h1>\n\
         <p>Copy this PIN and give it to {consumer_name}:</p>\n\
         <p><code id=\"pin\">{verifier}</code></p>\n"
    );
    page(StatusCode::OK, "Access allowed", &body)
}

/// Says that the application was not let in.
pub(crate) fn denied(consumer_name: &str) -> Answer {
    let consumer_name = escape(consumer_name);
    let body = format!("<h1>Access denied</h1>\n<p>{consumer_name} was not let in.</p>\n");
    page(StatusCode::OK, "Access denied", &body)
}

/// Says what went wrong, and what to do.
pub(crate) fn problem(status: StatusCode, text: &str) -> Answer {
    let text = escape(text);
    let body = format!("<h1>That did not work</h1>\n<p>{text}</p>\n");
    page(status, "That did not work", &body)
}

pub(crate) fn stylesheet() -> Answer {
    Answer::new(StatusCode::OK, "text/css; charset=utf-8", STYLESHEET.to_owned())
}

fn page(status: StatusCode, title: &str, body: &str) -> Answer {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – Discogs sandbox</title>\n\
         <link rel=\"stylesheet\" href=\"{STYLESHEET_PATH}\">\n</head>\n<body>\n<main>\n\
         {body}</main>\n<footer><p>This is a sandbox and not Discogs.</p></footer>\n\
         </body>\n</html>\n"
    );
    let header = HeaderValue::from_static;
    Answer::new(status, "text/html; charset=utf-8", html)
        .with(CONTENT_SECURITY_POLICY, header(POLICY))
        .with(X_CONTENT_TYPE_OPTIONS, header("nosniff"))
        .with(X_FRAME_OPTIONS, header("DENY"))
        .with(REFERRER_POLICY, header("no-referrer"))
        .with(CACHE_CONTROL, header("no-store"))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_could_be_markup_is_escaped() {
        assert_eq!(escape("<a b=\"c\" d='&'>"), "&lt;a b=&quot;c&quot; d=&#39;&amp;&#39;&gt;");
    }
}
