//! The pages of `/oauth/authorize`, worded like Discogs's own pages.
//!
//! Plain HTML that works without scripts and loads nothing from other hosts. Every value is escaped.
//! This module must not depend on the state of a token.

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use crate::answer::Answer;

const STYLESHEET_PATH: &str = "/sandbox.css";
const SCRIPT_PATH: &str = "/sandbox.js";

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Asks the user to grant access to the application.
pub(crate) fn question(token: &str, consumer_name: &str, username: &str) -> Answer {
    let (token, username) = (escape(token), escape(username));
    let consumer_name = escape(consumer_name);
    let body = format!(
        "<h1>Authorize {consumer_name}?</h1>\n\
         <p>You are signed in as <strong>{username}</strong>. <strong>{consumer_name}</strong> \
         asks for access to your account. It will be able to:</p>\n\
         <ul>\n<li>see your username</li>\n<li>read and change your collection and wantlist</li>\n\
         </ul>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n\
         <input type=\"hidden\" name=\"oauth_token\" value=\"{token}\">\n\
         <button name=\"allow\" value=\"yes\">Authorize</button>\n\
         <button name=\"deny\" value=\"yes\">Deny</button>\n\
         </form>\n\
         <p class=\"quiet\">If you authorize it, you get a code to enter in {consumer_name}.</p>\n"
    );
    page(StatusCode::OK, "Authorize", &body)
}

/// Shows the verifier for the user to copy.
pub(crate) fn code(verifier: &str, consumer_name: &str) -> Answer {
    let (verifier, consumer_name) = (escape(verifier), escape(consumer_name));
    let body = format!(
        "<script src=\"{SCRIPT_PATH}\" defer></script>\n\
         <h1>Authorization successful</h1>\n\
         <p>If the application asks you for a code, enter the following:</p>\n\
         <div class=\"code\"><code id=\"pin\">{verifier}</code>\n\
         <button id=\"copy\" type=\"button\" hidden>Copy code</button></div>\n\
         <p id=\"copied\" class=\"quiet\" role=\"status\"></p>\n\
         <p>Go back to the tab of {consumer_name} and enter the code there. You can now close \
         this tab.</p>\n"
    );
    page(StatusCode::OK, "Authorization successful", &body)
}

/// Confirms that access was denied.
pub(crate) fn denied(consumer_name: &str) -> Answer {
    let consumer_name = escape(consumer_name);
    let body = format!(
        "<h1>Access denied</h1>\n\
         <p>{consumer_name} gets no access to your account.</p>\n\
         <p>Go back to the tab of {consumer_name}. To connect after all, start again there. You \
         can now close this tab.</p>\n"
    );
    page(StatusCode::OK, "Access denied", &body)
}

/// Explains an error and what to do about it.
pub(crate) fn problem(status: StatusCode, text: &str) -> Answer {
    let text = escape(text);
    let body = format!("<h1>That did not work</h1>\n<p>{text}</p>\n");
    page(status, "That did not work", &body)
}

/// A file that the pages load; `None` if there is none at this path.
pub(crate) fn asset(path: &str) -> Option<Answer> {
    let (content_type, content) = match path {
        STYLESHEET_PATH => ("text/css; charset=utf-8", include_str!("page/sandbox.css")),
        SCRIPT_PATH => ("text/javascript; charset=utf-8", include_str!("page/sandbox.js")),
        _ => return None,
    };
    let answer = Answer::new(StatusCode::OK, content_type, content.to_owned());
    Some(answer.with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
}

fn page(status: StatusCode, title: &str, body: &str) -> Answer {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – Discogs sandbox</title>\n\
         <link rel=\"stylesheet\" href=\"{STYLESHEET_PATH}\">\n</head>\n<body>\n\
         <header><strong>Sandbox</strong> This page stands in for Discogs. No real account is \
         used.</header>\n<main>\n{body}</main>\n</body>\n</html>\n"
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
    fn markup_in_values_is_escaped() {
        assert_eq!(escape("<a b=\"c\" d='&'>"), "&lt;a b=&quot;c&quot; d=&#39;&amp;&#39;&gt;");
    }
}
