//! The page where a user approves, as a browser or `curl` sees it.

use std::time::Duration;

use reqwest::Response;

use crate::harness::App;

async fn ask(app: &App, token: &str) -> Response {
    let path = app.url(&format!("/oauth/authorize?oauth_token={token}"));
    app.client.get(path).send().await.unwrap()
}

async fn say(app: &App, form: &str) -> (u16, String) {
    let call = app.client.post(app.url("/oauth/authorize"));
    let call = call.header("content-type", "application/x-www-form-urlencoded");
    let response = call.body(form.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn the_page_asks_without_a_script() {
    let app = App::start_with(|options| options.consumer_name = "<Dig & \"Co\">".to_owned()).await;
    let token = app.request_token().await.token;
    let response = ask(&app, &token).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(
        headers["content-security-policy"],
        "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(headers["cache-control"], "no-store");
    let html = response.text().await.unwrap();
    assert!(html.contains("<h1>Authorize &lt;Dig &amp; &quot;Co&quot;&gt;?</h1>"));
    assert!(html.contains(&format!("name=\"oauth_token\" value=\"{token}\"")));
    assert!(html.contains("<strong>sandbox_digger</strong>"));
    assert!(html.contains(">Authorize</button>") && html.contains(">Deny</button>"));
    assert!(html.contains("<html lang=\"en\">") && !html.contains("<script"));
}

#[tokio::test]
async fn authorizing_shows_a_valid_code() {
    let app = App::start().await;
    let token = app.request_token().await;
    let (status, html) = say(&app, &format!("oauth_token={}&allow=yes", token.token)).await;
    assert_eq!(status, 200);
    assert!(html.contains("<h1>Authorization successful</h1>"));
    assert!(html.contains("If the application asks you for a code, enter the following:"));
    let (_, rest) = html.split_once("<code id=\"pin\">").unwrap();
    let (code, _) = rest.split_once("</code>").unwrap();
    assert_eq!(code.len(), 10);
    let exchanged = app.exchange_call(&token, code).send().await.unwrap();
    assert_eq!(exchanged.status(), 200);
}

#[tokio::test]
async fn every_page_is_marked_as_a_sandbox() {
    let app = App::start().await;
    let [first, second] = [app.request_token().await.token, app.request_token().await.token];
    let pages = [
        ask(&app, &first).await.text().await.unwrap(),
        ask(&app, "unknown").await.text().await.unwrap(),
        say(&app, &format!("oauth_token={first}")).await.1,
        say(&app, &format!("oauth_token={first}&allow=yes")).await.1,
        say(&app, &format!("oauth_token={second}&deny=yes")).await.1,
    ];
    for page in pages {
        assert!(page.contains("<header><strong>Sandbox</strong>"), "{page}");
    }
}

#[tokio::test]
async fn the_pages_load_their_style_and_script_from_the_sandbox() {
    let app = App::start().await;
    for (path, content_type) in [
        ("/sandbox.css", "text/css; charset=utf-8"),
        ("/sandbox.js", "text/javascript; charset=utf-8"),
    ] {
        let asset = app.client.get(app.url(path)).send().await.unwrap();
        assert_eq!(asset.status(), 200);
        assert_eq!(asset.headers()["content-type"], content_type);
        assert_eq!(asset.headers()["x-content-type-options"], "nosniff");
        let content = asset.text().await.unwrap();
        assert!(!content.is_empty() && !content.contains("http"), "{content}");
    }
}

#[tokio::test]
async fn denying_is_final() {
    let app = App::start().await;
    let token = app.request_token().await.token;
    let (status, html) = say(&app, &format!("oauth_token={token}&deny=yes")).await;
    assert_eq!(status, 200);
    assert!(html.contains("<h1>Access denied</h1>"));
    let (status, html) = say(&app, &format!("oauth_token={token}&allow=yes")).await;
    assert_eq!(status, 409);
    assert!(html.contains("This request has been answered already."));
}

#[tokio::test]
async fn approving_twice_is_explained() {
    let app = App::start().await;
    let token = app.request_token().await.token;
    let form = format!("oauth_token={token}&allow=yes");
    assert_eq!(say(&app, &form).await.0, 200);
    let (status, html) = say(&app, &form).await;
    assert_eq!(status, 409);
    assert!(html.contains("This request has been answered already."));
    assert_eq!(ask(&app, &token).await.status(), 409);
}

#[tokio::test]
async fn unknown_and_expired_requests_are_explained() {
    let app = App::start().await;
    let token = app.request_token().await.token;
    app.pass(Duration::from_mins(15));
    for token in [token.as_str(), "%3Cb%3E"] {
        let response = ask(&app, token).await;
        assert_eq!(response.status(), 404);
        let html = response.text().await.unwrap();
        assert!(html.contains("This request is unknown or has expired."));
        assert!(!html.contains("<b>"));
        assert_eq!(say(&app, &format!("oauth_token={token}&allow=yes")).await.0, 404);
    }
}

#[tokio::test]
async fn an_empty_form_changes_nothing() {
    let app = App::start().await;
    let token = app.request_token().await.token;
    assert_eq!(say(&app, "allow=yes").await.0, 400);
    assert_eq!(say(&app, &format!("oauth_token={token}")).await.0, 400);
    assert_eq!(say(&app, &format!("oauth_token={token}&allow=no")).await.0, 400);
    let bare = app.client.get(app.url("/oauth/authorize")).send().await;
    assert_eq!(bare.unwrap().status(), 400);
    assert!(app.sandbox.approve(&token).is_ok());
}
