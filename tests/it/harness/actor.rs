//! A client of the API.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Answer;
use super::document::assert_described;

/// The password of every actor.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A client, signed in or not.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    client: reqwest::Client,
    url: String,
    pub(crate) token: Option<String>,
    pub(crate) email: String,
    pub(crate) id: String,
}

impl Actor {
    pub(crate) fn new(client: reqwest::Client, url: String, token: Option<String>) -> Self {
        Self { client, url, token, email: String::new(), id: String::new() }
    }

    /// Returns the same client at another replica.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Returns a client without a token, at the same service.
    pub(crate) fn anonymous(&self) -> Self {
        Self::new(self.client.clone(), self.url.clone(), None)
    }

    /// Returns the same client with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Builds a request without sending it.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_body(Method::POST, path, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send_body(Method::PUT, path, body.to_string()).await
    }

    /// Sends any bytes, declared as JSON.
    pub(crate) async fn send_body(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        send(request.body(body)).await
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> Answer {
        self.post("/api/auth/register", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/api/auth/login", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn register_and_sign_in(&self, email: &str) -> Self {
        let registered = self.register(email, PASSWORD).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        let id = registered.json()["id"].as_str().unwrap().to_owned();
        Self { id, ..self.sign_in(email, PASSWORD).await }
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Self {
        let login = self.login(email, password).await;
        assert_eq!(login.status, 200, "{login:?}");
        let token = login.json()["access_token"].as_str().unwrap().to_owned();
        Self { token: Some(token), email: email.to_owned(), ..self.clone() }
    }

    pub(crate) async fn me(&self) -> Answer {
        self.get("/api/auth/me").await
    }

    pub(crate) async fn authorize(&self) -> Answer {
        self.get("/api/oauth/authorize/discogs").await
    }

    /// Starts a flow and returns its state.
    pub(crate) async fn start(&self) -> String {
        let started = self.authorize().await;
        assert_eq!(started.status, 200, "{started:?}");
        started.json()["state"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn verify(&self, state: &str, verifier: &str) -> Answer {
        let body = json!({ "state": state, "oauth_verifier": verifier });
        self.post("/api/oauth/verify/discogs", &body).await
    }

    pub(crate) async fn status(&self) -> Answer {
        self.get("/api/oauth/status/discogs").await
    }

    pub(crate) async fn revoke(&self) -> Answer {
        self.delete("/api/oauth/revoke/discogs").await
    }

    pub(crate) async fn put_config(&self, key: &str, value: &str) {
        let put = self.put(&format!("/api/admin/config/{key}"), &json!({ "value": value })).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
}

/// Sends a request, and checks its answer against the OpenAPI document.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let answer = Answer::of(client.execute(request).await.unwrap()).await;
    assert_described(&method, &path, &answer);
    answer
}
