//! Secrets: read from variables or files, and never shown.

use std::fs;
use std::path::PathBuf;

use discogsography_api::config::{Stores, VARIABLES, Warning};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{assert_problem, load, loaded, names_of_problems};

const SECRET: &str = "a-secret-of-more-than-32-characters";

/// Creates a folder with one file.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn a_secret_may_be_in_a_file() {
    for content in [SECRET.to_owned(), format!("{SECRET}\n"), format!(" \r\n{SECRET}\t\n\n")] {
        let (_folder, path) = file(content);
        let config = loaded(&[("JWT_SECRET_KEY_FILE", path.to_str().unwrap())]);
        assert_eq!(config.jwt_secret_key.unwrap().expose_secret(), SECRET);
        assert_eq!(config.warnings, []);
    }
}

#[test]
fn a_database_may_be_configured_by_files() {
    let ((_a, username), (_b, password)) = (file("digger\n"), file("p4ss word\n"));
    let ((_c, redis), (_d, jwt)) = (file("redis://:s3cret@cache/0\n"), file(SECRET));
    let config = loaded(&[
        ("POSTGRES_ADDRESS", "db"),
        ("POSTGRES_USERNAME_FILE", username.to_str().unwrap()),
        ("POSTGRES_PASSWORD_FILE", password.to_str().unwrap()),
        ("POSTGRES_DATABASE", "discogsography"),
        ("REDIS_URL_FILE", redis.to_str().unwrap()),
        ("JWT_SECRET_KEY_FILE", jwt.to_str().unwrap()),
    ]);
    let Stores::Servers { postgres, redis } = &config.stores else {
        panic!("{:?}", config.stores);
    };
    assert_eq!(postgres.username, "digger");
    assert_eq!(postgres.password.expose_secret(), "p4ss word");
    assert_eq!(redis.url.expose_secret(), "redis://:s3cret@cache/0");
}

/// Returns every variable that may be in a file, and the variable that names the file.
fn file_variables() -> impl Iterator<Item = (&'static str, String)> {
    let variables = VARIABLES.iter().filter(|variable| variable.has_file_variant);
    variables.map(|variable| (variable.name, format!("{}_FILE", variable.name)))
}

#[test]
fn only_secrets_and_user_names_may_be_in_files() {
    let names: Vec<_> = file_variables().map(|(name, _)| name).collect();
    let expected = [
        "POSTGRES_USERNAME",
        "POSTGRES_PASSWORD",
        "DATABASE_URL",
        "REDIS_URL",
        "REDIS_PASSWORD",
        "JWT_SECRET_KEY",
        "JWT_SECRET_KEY_PREVIOUS",
        "ENCRYPTION_MASTER_KEY",
        "ENCRYPTION_MASTER_KEY_PREVIOUS",
        "ADMIN_EMAIL",
        "ADMIN_PASSWORD",
        "HTTPS_PROXY",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_secret_given_twice_is_refused() {
    let (_folder, path) = file(SECRET);
    let path = path.to_str().unwrap();
    assert_problem(
        &[("JWT_SECRET_KEY", SECRET), ("JWT_SECRET_KEY_FILE", path)],
        "JWT_SECRET_KEY_FILE is set together with JWT_SECRET_KEY: keep only one of them",
    );
    for (name, file_name) in file_variables() {
        let names = names_of_problems(&[(name, "redis://cache"), (&file_name, path)]);
        assert!(names.contains(&file_name), "{names:?}");
        assert!(!names.contains(&name.to_owned()), "{names:?}");
    }
}

#[test]
fn an_empty_file_is_refused() {
    for content in ["", "\n", " \t\r\n"] {
        let (_folder, path) = file(content);
        let path = path.to_str().unwrap();
        assert_problem(
            &[("JWT_SECRET_KEY_FILE", path)],
            &format!(
                "JWT_SECRET_KEY_FILE `{path}` names a file that is empty (for example: \
                 /run/secrets/jwt_secret_key)"
            ),
        );
    }
}

#[test]
fn an_unreadable_file_is_refused() {
    let (folder, no_text) = file(b"\xff\xfe");
    let nowhere = folder.path().join("nowhere");
    for path in [nowhere.as_path(), folder.path(), &no_text] {
        for (name, file_name) in file_variables() {
            let names = names_of_problems(&[(&file_name, path.to_str().unwrap())]);
            assert!(names.contains(&file_name), "{path:?}: {names:?}");
            assert!(!names.contains(&name.to_owned()), "{path:?}: {names:?}");
        }
    }
    assert_problem(
        &[("JWT_SECRET_KEY_FILE", "/nowhere/secret")],
        "JWT_SECRET_KEY_FILE (not shown) can't be read: No such file or directory (os error 2) \
         (for example: /run/secrets/jwt_secret_key)",
    );
}

#[test]
fn a_blank_variable_is_refused() {
    let problem = " is blank: give it a value, or leave it out";
    for variable in VARIABLES {
        let problems = super::problems(&[(variable.name, " \t")]);
        let sentence = format!("{}{problem}", variable.name);
        let of_it: Vec<_> = problems.iter().filter(|(name, _)| name == variable.name).collect();
        assert_eq!(of_it, [&(variable.name.to_owned(), sentence)]);
    }
}

#[test]
fn a_weak_secret_causes_a_warning() {
    let warnings = |secret: &str| loaded(&[("JWT_SECRET_KEY", secret)]).warnings;
    let short = "JWT_SECRET_KEY is shorter than 32 bytes and could be guessed".to_owned();
    assert_eq!(warnings(&"x".repeat(31)), [Warning::Careful(short)]);
    assert_eq!(warnings("7f3a9c1e5b2d8064f1a7c3e9b5d20846"), []);
    for (secret, what) in [
        ("a".repeat(40), "is long, but has only 1 different characters"),
        ("changeme-changeme-changeme-changeme".to_owned(), "repeats a short text"),
        (
            "your-secret-key-here-please-change-me-now".to_owned(),
            "is made of the words of an example",
        ),
    ] {
        let sentence = format!("JWT_SECRET_KEY {what} and could be guessed");
        assert_eq!(warnings(&secret), [Warning::Careful(sentence)]);
    }
    let example = "JWT_SECRET_KEY is the example from the documentation: anyone can make access \
                   tokens for any user; set a random one, the same in every service that checks \
                   them";
    assert_eq!(warnings("your-secret-key-here"), [Warning::Alarming(example.to_owned())]);
}

#[test]
fn debug_shows_no_secret() {
    let config = loaded(&[
        ("POSTGRES_ADDRESS", "db"),
        ("POSTGRES_USERNAME", "digger"),
        ("POSTGRES_PASSWORD", "s3cret-password"),
        ("POSTGRES_DATABASE", "discogsography"),
        ("REDIS_URL", "redis://:s3cret-redis@cache/0"),
        ("JWT_SECRET_KEY", "s3cret-key"),
        ("HTTPS_PROXY", "http://me:s3cret-proxy@proxy:3128"),
    ]);
    let shown = format!("{config:?} {config:#?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("digger"), "{shown}");
}

#[test]
fn no_problem_shows_a_secret() {
    let (_folder, path) = file("http://:s3cret@cache");
    let path = path.to_str().unwrap();
    let wrong: [&[(&str, &str)]; 36] = [
        &[("JWT_SECRET_KEY_PREVIOUS", "s3cret,,s3cret-too")],
        &[("POSTGRES_PASSWORD", "s3cret"), ("JWT_SECRET_KEY", "s3cret")],
        &[("REDIS_URL", "http://:s3cret@cache")],
        &[("REDIS_URL_FILE", path)],
        &[("DATABASE_URL", "postgres://digger:s3cret@db")],
        &[("POSTGRES_ADDRESS", "postgres://digger:s3cret@db/discogsography")],
        &[("DISCOGS_API_URL", "https://digger:s3cret@discogs.example.com")],
        // Secrets in the wrong variable.
        &[("POSTGRES_PASSWORD_FILE", "s3cret")],
        &[("JWT_SECRET_KEY_FILE", "s3cret/with/slashes")],
        &[("POSTGRES_ADDRESS", "digger:s3cret:db")],
        &[("DISCOGS_API_URL", "https:digger:s3cret")],
        &[("DISCOGS_WEB_URL", "ftp://digger:s3cret@discogs.example.com")],
        &[("CORS_ORIGINS", "https://a.b,https://digger:s3cret@c.d")],
        &[("REDIS_URL", "redis://:s3cret@cache/abc")],
        &[("REDIS_URL", "redis://cache/s3cret")],
        &[("DATABASE_URL", "postgres://digger:#s3cret@db/discogsography")],
        &[("DATABASE_URL", "postgres://digger:5?s3cret=1@db/discogsography")],
        &[("DATABASE_URL", "postgres://digger:/s3cret@db/discogsography")],
        &[("DATABASE_URL", "digger:s3cret@db/discogsography")],
        &[("DATABASE_URL", "postgres://digger:s3cret@db/d?sslmode=s3cret&sslrootcert=/x")],
        &[("HTTPS_PROXY", "socks5://digger:s3cret@proxy")],
        &[("https_proxy", "http://digger:s3cret@proxy/path")],
        &[("ADMIN_EMAIL", "s3cret@"), ("ADMIN_PASSWORD", "s3cret-password")],
        &[("ADMIN_EMAIL", "digger@example.com"), ("ADMIN_PASSWORD", "s3cret")],
        &[("POSTGRES_HOST", "postgres://digger:s3cret@db")],
        &[("REDIS_HOST", "redis://:s3cret@cache")],
        &[("REDIS_URL", "redis://:s3cret@cache"), ("REDIS_PASSWORD", "s3cret-too")],
        &[("JWT_SECRET_KEY_FILE", "/s3cret")],
        &[("JWT_SECRET_KEY_FILE", "/s3cret/with+more/Base64==")],
        &[("JWT_SECRET_KEY_FILE", "~s3cret")],
        &[("JWT_SECRET_KEY_FILE", "\"s3cret\"")],
        &[("POSTGRES_SSLROOTCERT", "s3cret"), ("POSTGRES_SSLMODE", "verify-full")],
        &[("REDIS_URL", "redis://:#s3cret@cache")],
        &[("REDIS_URL", "redis://:5?s3cret=1@cache")],
        &[("REDIS_URL", "redis://cache?password=x&s3cret=1")],
        &[("DATABASE_URL", "postgres://db/d?user=u&password=x&s3cret&sslkey=s3cret")],
    ];
    for variables in wrong {
        let error = load(variables).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn the_first_admin_follows_the_rules_of_registration() {
    let email = ("ADMIN_EMAIL", " Boss@Example.com");
    let password = ("ADMIN_PASSWORD", " eight c");
    let admin = loaded(&[email, password]).first_admin.unwrap();
    assert_eq!(admin.email.as_str(), "boss@example.com");
    assert_eq!(admin.password.into_secret().expose_secret(), " eight c");
    let (_folder, path) = file("from a file\n");
    let by_file = [email, ("ADMIN_PASSWORD_FILE", path.to_str().unwrap())];
    let admin = loaded(&by_file).first_admin.unwrap();
    assert_eq!(admin.password.into_secret().expose_secret(), "from a file");
    let missing = "ADMIN_PASSWORD is missing: it belongs to ADMIN_EMAIL, which is set (for \
                   example: a long random one)";
    assert_problem(&[email], missing);
    assert_eq!(names_of_problems(&[password]), ["ADMIN_EMAIL"]);
    let too_short = "ADMIN_PASSWORD has fewer than 8 characters (for example: a long random one)";
    assert_problem(&[email, ("ADMIN_PASSWORD", "seven..")], too_short);
    for (email, password, expected) in [
        ("boss", &*"x".repeat(8), "ADMIN_EMAIL"),
        ("boss@example.com", &*"x".repeat(1025), "ADMIN_PASSWORD"),
        ("boss@example.com", "nul \0 nul", "ADMIN_PASSWORD"),
    ] {
        let names = names_of_problems(&[("ADMIN_EMAIL", email), ("ADMIN_PASSWORD", password)]);
        assert_eq!(names, [expected]);
    }
}

/// Loading must not wait for a FIFO, or read a device forever.
#[test]
fn a_path_that_is_not_a_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let fifo = fifo.to_str().unwrap();
    for (name, file_name) in file_variables() {
        for path in [fifo, "/dev/zero", folder.path().to_str().unwrap()] {
            let names = names_of_problems(&[(&file_name, path)]);
            assert!(names.contains(&file_name), "{name} {path}: {names:?}");
        }
    }
    assert_problem(
        &[("JWT_SECRET_KEY_FILE", fifo)],
        &format!(
            "JWT_SECRET_KEY_FILE `{fifo}` can't be read: it is a FIFO, not a regular file (for \
             example: /run/secrets/jwt_secret_key)"
        ),
    );
    let warnings = loaded(&[("SSL_CERT_FILE", fifo)]).warnings;
    let sentence = format!(
        "SSL_CERT_FILE `{fifo}` can't be read: it is a FIFO, not a regular file; the root \
         certificates that come with the program are used instead"
    );
    assert_eq!(warnings, [Warning::Careful(sentence)]);
}

#[test]
fn unusable_root_certificates_are_reported_with_their_variable() {
    let (_folder, path) = file("not a certificate: s3cret");
    let path = path.to_str().unwrap();
    for (name, value, what) in [
        (
            "SSL_CERT_FILE",
            path,
            format!("SSL_CERT_FILE `{path}` can't be used: it holds no certificate in PEM form"),
        ),
        ("SSL_CERT_FILE", "", "SSL_CERT_FILE is empty".to_owned()),
        ("SSL_CERT_DIR", "/nowhere:", "SSL_CERT_DIR names no folder that exists".to_owned()),
    ] {
        let instead = "the root certificates that come with the program are used instead";
        let expected = Warning::Careful(format!("{what}; {instead}"));
        assert_eq!(loaded(&[(name, value)]).warnings, [expected]);
    }
}
