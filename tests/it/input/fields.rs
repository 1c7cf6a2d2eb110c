//! Invalid fields: all are reported at once, and nothing of the input is repeated.

use discogs_sandbox::Step;
use serde_json::{Value, json};

use super::{Form, forms, invalid};
use crate::harness::{PASSWORD, TestApp, on_both_compositions, user_json};

on_both_compositions!(
    missing_and_mistyped_fields_are_all_reported_at_once,
    two_invalid_fields_are_reported_in_one_answer,
    the_last_duplicate_field_counts,
    unknown_fields_are_ignored,
    text_that_cannot_be_an_email_address_is_rejected,
    an_email_address_has_at_most_255_characters,
    a_password_has_8_to_1024_characters,
    a_pin_is_1_to_128_visible_characters,
    a_state_may_be_any_text,
    a_config_value_is_1_to_256_visible_ascii_characters,
    nothing_of_the_input_is_repeated,
    rejected_input_registers_no_user,
    rejected_input_uses_up_no_state,
    rejected_input_sets_no_config_value,
);

const EMAIL: (&str, &str, &str) = ("email", "value_error", "Value error, Invalid email address");
const PIN_BLANKS: &str = "Value error, Code (PIN) must not contain white space";
const VALUE: &str = "Value error, Value must be 1 to 256 visible ASCII characters";

/// The error of one field.
fn error(field: &str, kind: &str, msg: &str) -> Value {
    json!({ "type": kind, "loc": ["body", field], "msg": msg })
}

fn errors(form: &Form, kind: &str, msg: &str) -> Value {
    let errors: Vec<_> = form.fields.iter().map(|field| error(field, kind, msg)).collect();
    invalid(&json!(errors))
}

async fn missing_and_mistyped_fields_are_all_reported_at_once(app: TestApp) {
    for form in forms(&app).await {
        let missing = errors(&form, "missing", "Field required");
        form.send("{}").await.assert(422, &missing);
        let mistyped = errors(&form, "string_type", "Input should be a valid string");
        for value in [json!(null), json!(1), json!(1.5), json!(true), json!(["x"]), json!({})] {
            let fields = form.fields.iter().map(|field| ((*field).to_owned(), value.clone()));
            let body = Value::Object(fields.collect());
            form.send(body.to_string()).await.assert(422, &mistyped);
        }
    }
}

async fn two_invalid_fields_are_reported_in_one_answer(app: TestApp) {
    let too_short =
        error("password", "string_too_short", "String should have at least 8 characters");
    let registered = app.anonymous().register("no address", "short").await;
    registered.assert(422, &invalid(&json!([error(EMAIL.0, EMAIL.1, EMAIL.2), too_short])));
    let alice = app.user("alice").await;
    let empty_state = error("state", "string_too_short", "String should have at least 1 character");
    let blanks = error("oauth_verifier", "value_error", PIN_BLANKS);
    let verified = alice.verify("", "two words").await;
    verified.assert(422, &invalid(&json!([empty_state, blanks])));
}

async fn the_last_duplicate_field_counts(app: TestApp) {
    let [register, ..] = forms(&app).await;
    let twice = format!(
        r#"{{"email": 1, "password": null, "email": "a@example.com", "password": "{PASSWORD}"}}"#
    );
    let registered = register.send(twice).await;
    assert_eq!((registered.status, &registered.json()["email"]), (201, &json!("a@example.com")));
    let last_is_bad = r#"{"email": "b@example.com", "password": "long enough", "password": 7}"#;
    let refused = register.send(last_is_bad).await;
    refused.assert_refused("password", "string_type", "Input should be a valid string");
}

async fn unknown_fields_are_ignored(app: TestApp) {
    let body = json!({
        "email": "a@example.com",
        "password": PASSWORD,
        "is_admin": true,
        "id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        "": [{ "nested": null }],
    });
    let registered = app.anonymous().post("/api/auth/register", &body).await;
    let answer = registered.json();
    registered.assert(
        201,
        &user_json(answer["id"].clone(), "a@example.com", answer["created_at"].clone()),
    );
    assert_ne!(answer["id"], body["id"]);
    let user = app.anonymous().sign_in("a@example.com", PASSWORD).await;
    assert_eq!(user.get("/api/admin/config").await.status, 403);
}

async fn text_that_cannot_be_an_email_address_is_rejected(app: TestApp) {
    let refused = [
        "",
        " ",
        "@",
        "a",
        "a@",
        "@b.c",
        "a@b",
        "a@.b",
        "a@b.",
        "a@.",
        "a@b@c.d",
        "a b@c.d",
        "a@b c.d",
        "a\u{a0}b@c.d",
        "a\n@b.c",
        "a\0@b.c",
        "a@b\u{7f}.c",
    ];
    for email in refused {
        let registered = app.anonymous().register(email, PASSWORD).await;
        registered.assert_refused(EMAIL.0, EMAIL.1, EMAIL.2);
    }
}

async fn an_email_address_has_at_most_255_characters(app: TestApp) {
    let of_length = |characters: usize, letter: &str| {
        format!("{}@example.com", letter.repeat(characters - "@example.com".len()))
    };
    for letter in ["x", "ü", "収"] {
        let longest = of_length(255, letter);
        let registered = app.anonymous().register(&format!(" {longest} "), PASSWORD).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        assert_eq!(registered.json()["email"], longest);
    }
    // The last one has 255 characters, and twice as many in lower case.
    for too_long in [of_length(256, "y"), of_length(256, "ü"), of_length(255, "İ")] {
        let registered = app.anonymous().register(&too_long, PASSWORD).await;
        registered.assert_refused(EMAIL.0, EMAIL.1, EMAIL.2);
    }
}

async fn a_password_has_8_to_1024_characters(app: TestApp) {
    let register = async |name: &str, password: &str| {
        app.anonymous().register(&format!("{name}@example.com"), password).await
    };
    for letter in ["x", "🎧"] {
        let too_short = register("short", &letter.repeat(7)).await;
        let msg = "String should have at least 8 characters";
        too_short.assert_refused("password", "string_too_short", msg);
        let too_long = register("long", &letter.repeat(1025)).await;
        let msg = "String should have at most 1024 characters";
        too_long.assert_refused("password", "string_too_long", msg);
    }
    assert_eq!(register("shortest", &"🎧".repeat(8)).await.status, 201);
    assert_eq!(register("longest", &"🎧".repeat(1024)).await.status, 201);
    let nul = register("nul", "pass\0word").await;
    nul.assert_refused("password", "value_error", "Value error, Password must not contain NUL");
}

async fn a_pin_is_1_to_128_visible_characters(app: TestApp) {
    let alice = app.user("alice").await;
    let empty = "Value error, Code (PIN) must not be empty";
    let too_long = "Value error, Code (PIN) must have at most 128 characters";
    let refused = [
        ("", empty),
        (" \t\r\n", empty),
        ("“ ”", empty),
        (&"x".repeat(129), too_long),
        ("two words", PIN_BLANKS),
        ("two\nlines", PIN_BLANKS),
        ("nul\0inside", PIN_BLANKS),
    ];
    for (pin, msg) in refused {
        let verified = alice.verify("state", pin).await;
        verified.assert_refused("oauth_verifier", "value_error", msg);
    }
    for taken in [&"x".repeat(128), "\u{feff}1234567890\u{200b}", "äöü"] {
        assert_eq!(alice.verify("state", taken).await.status, 400, "{taken:?}");
    }
}

async fn a_state_may_be_any_text(app: TestApp) {
    let alice = app.user("alice").await;
    let long = "x".repeat(60_000);
    let unknown =
        [" ", "\0", "a\nb", "🎧", "*", "../..", "a:b", &"ü".repeat(512), &"x".repeat(513), &long];
    for state in unknown {
        alice.verify(state, "1234567890").await.assert_error(
            400,
            "state_unknown",
            "OAuth state not found or expired. Please restart the OAuth flow.",
        );
    }
}

async fn a_config_value_is_1_to_256_visible_ascii_characters(app: TestApp) {
    let admin = app.admin().await;
    let put = async |value: &str| {
        admin.put("/api/admin/config/discogs_consumer_key", &json!({ "value": value })).await
    };
    let long = "x".repeat(257);
    for refused in ["", " ", "\n", "two words", "schlüssel", "nul\0", "tab\tinside", &long] {
        put(refused).await.assert_refused("value", "value_error", VALUE);
    }
    assert_eq!(put("x").await.status, 200);
    assert_eq!(put(&"x".repeat(256)).await.status, 200);
}

async fn nothing_of_the_input_is_repeated(app: TestApp) {
    const SECRET: &str = "s3cret";
    let bodies = [
        format!("{{\"email\": \"{SECRET}\", \"password\": \"{SECRET}\"}}"),
        format!("{{\"email\": [\"{SECRET}\"], \"password\": {{\"{SECRET}\": 1}}}}"),
        format!("{{\"state\": \"\", \"oauth_verifier\": \"{SECRET} {SECRET}\"}}"),
        format!("{{\"value\": \"{SECRET} {SECRET}\"}}"),
        format!("{{\"{SECRET}\": \"{SECRET}\"}}"),
        format!("\"{SECRET}\""),
        format!("[\"{SECRET}\"]"),
        format!("{{\"password\": \"{SECRET}"),
        SECRET.to_owned(),
    ];
    for form in forms(&app).await {
        for body in &bodies {
            let answer = form.send(body.clone()).await;
            assert!(!format!("{answer:?}").contains(SECRET), "{} {body}: {answer:?}", form.path);
        }
    }
}

async fn rejected_input_registers_no_user(app: TestApp) {
    let [register, ..] = forms(&app).await;
    let count = async || app.sql_text("select cast(count(*) as text) from users").await;
    let before = count().await;
    for body in [
        r#"{"email": "a@example.com", "password": "short"}"#,
        r#"{"email": "a@example.com", "password": "long enough", "more": 1e400}"#,
        r#"{"email": "a@example.com", "password": "long enough"} {}"#,
        r#"{"email": "a@example.com"}"#,
    ] {
        assert_eq!(register.send(body).await.status, 422, "{body}");
    }
    assert_eq!(count().await, before);
    assert_eq!(app.anonymous().register("a@example.com", PASSWORD).await.status, 201);
}

async fn rejected_input_uses_up_no_state(app: TestApp) {
    let alice = app.user("alice").await;
    let state = alice.start().await;
    for _ in 0..4 {
        assert_eq!(alice.verify(&state, "two words").await.status, 422);
    }
    assert_eq!(app.sandbox.calls(Step::AccessToken), []);
    let verifier = app.sandbox.approve(&state).unwrap();
    assert_eq!(alice.verify(&state, &verifier).await.status, 200);
}

async fn rejected_input_sets_no_config_value(app: TestApp) {
    let admin = app.admin().await;
    let before = admin.get("/api/admin/config").await.json();
    for value in [json!("two words"), json!(""), json!(7), json!(null)] {
        let body = json!({ "value": value });
        let put = admin.put("/api/admin/config/discogs_consumer_secret", &body).await;
        assert_eq!(put.status, 422, "{put:?}");
    }
    admin.get("/api/admin/config").await.assert(200, &before);
}
