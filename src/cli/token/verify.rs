//! `token verify`: whether the service accepts a token, and otherwise why not.

use anyhow::anyhow;
use discogsography_token::{Inspection, Keys, Signer, TokenError, VerifiedClaims};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use uuid::Uuid;

use super::super::{Context, UsageError, say, surroundings};
use super::times::{described, time_of};
use crate::clock::Timestamp;
use crate::config::{Config, Migrations, Stores};
use crate::metrics::Metrics;
use crate::server::{existing_token_keys, is_revoked, open_stores};
use crate::{sqlite, telemetry};

/// Why the service refuses a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Token(TokenError),
    Revoked,
    UserMissing,
    UserDisabled,
}

/// What was found out about a token.
struct Verdict {
    refusal: Option<Refusal>,
    /// Where the secret that signed it comes from, if it is known.
    secret: Option<String>,
    user_id: Option<Uuid>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    /// What could not be checked, and why.
    not_checked: Vec<String>,
}

pub(super) async fn verify(
    token: &SecretString,
    is_json: bool,
    offline: bool,
    context: Context<'_>,
) -> anyhow::Result<()> {
    let config = context.config()?;
    telemetry::start(config.log_level, config.log_format)?;
    let keys = keys(&config)?;
    let now = surroundings()?.clock.now();
    let (mut verdict, claims) = of_token(token.expose_secret(), &keys, &config, now);
    match claims {
        Some(claims) if !offline => verdict.check_servers(&claims, &config).await,
        Some(_) => verdict.not_checked.push("the user: --offline".to_owned()),
        None => {}
    }
    say(&if is_json { verdict.to_json() } else { verdict.to_text(now) })?;
    match verdict.refusal {
        Some(_) => Err(anyhow!("the service refuses this token")),
        None => Ok(()),
    }
}

fn keys(config: &Config) -> anyhow::Result<Keys> {
    let keys = existing_token_keys(config);
    let keys = keys.map_err(|error| UsageError(format!("{:#}", anyhow!(error))))?;
    keys.ok_or_else(|| {
        let sentence = "there is no secret to check the token with: set JWT_SECRET_KEY, or DATA_DIR \
                        to the folder of the service";
        UsageError(sentence.to_owned()).into()
    })
}

/// Decides about the token itself.
fn of_token(
    token: &str,
    keys: &Keys,
    config: &Config,
    now: Timestamp,
) -> (Verdict, Option<VerifiedClaims>) {
    let verified = keys.verify(token, now.since_epoch());
    let shown = Inspection::new(token, now.since_epoch()).claims.unwrap_or_default();
    let verdict = Verdict {
        refusal: verified.as_ref().err().copied().map(Refusal::Token),
        secret: keys.signer(token).ok().map(|signer| secret_name(signer, config)),
        user_id: verified.as_ref().ok().map(|claims| claims.sub),
        issued_at: time_of(&shown, "iat"),
        expires_at: time_of(&shown, "exp"),
        not_checked: Vec::new(),
    };
    (verdict, verified.ok())
}

fn secret_name(signer: Signer, config: &Config) -> String {
    match (signer, &config.stores) {
        (Signer::Previous(number), _) => format!("JWT_SECRET_KEY_PREVIOUS entry {number}"),
        (Signer::Current, Stores::Embedded(embedded)) if config.jwt_secret_key.is_none() => {
            embedded.jwt_secret().display().to_string()
        }
        (Signer::Current, _) => "JWT_SECRET_KEY".to_owned(),
    }
}

impl Verdict {
    /// Looks for the mark of a revoked token, and for the user.
    async fn check_servers(&mut self, claims: &VerifiedClaims, config: &Config) {
        match is_revoked(config, claims).await {
            Ok(true) => self.refusal = Some(Refusal::Revoked),
            Ok(false) => {}
            Err(error) => self.not_checked.push(format!("revoked tokens: {:#}", anyhow!(error))),
        }
        match user_is_active(claims.sub, config).await {
            Ok(Some(true)) => {}
            Ok(Some(false)) => self.refuse(Refusal::UserDisabled),
            Ok(None) => self.refuse(Refusal::UserMissing),
            Err(error) => self.not_checked.push(format!("the user: {error:#}")),
        }
    }

    /// Keeps the first reason.
    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    fn to_text(&self, now: Timestamp) -> String {
        let time = |time: Option<Timestamp>| time.map(|time| described(time, now));
        let details = [
            ("Signed with", self.secret.clone()),
            ("Issued", time(self.issued_at)),
            ("Expires", time(self.expires_at)),
            ("User", self.user_id.map(|id| id.to_string())),
        ];
        let verdict = match self.refusal {
            None if self.not_checked.is_empty() => "Accepted.".to_owned(),
            None => "Accepted, as far as it was checked.".to_owned(),
            Some(refusal) => format!("Refused: {}.", refusal.text()),
        };
        let details = details.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let not_checked = self.not_checked.iter().map(|what| ("Not checked", what.clone()));
        let details = details.chain(not_checked);
        let lines = details.map(|(name, value)| format!("{name:<12} {value}"));
        [verdict].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
    }

    fn to_json(&self) -> String {
        let json = json!({
            "accepted": self.refusal.is_none(),
            "code": self.refusal.map(Refusal::code),
            "reason": self.refusal.map(Refusal::text),
            "signed_with": self.secret,
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "user_id": self.user_id,
            "not_checked": self.not_checked,
        });
        printable::json(&json.to_string())
    }
}

impl Refusal {
    fn code(self) -> &'static str {
        match self {
            Self::Token(error) => code(error),
            Self::Revoked => "revoked",
            Self::UserMissing => "user_missing",
            Self::UserDisabled => "user_disabled",
        }
    }

    fn text(self) -> String {
        match self {
            Self::Token(error) => error.to_string(),
            Self::Revoked => {
                "a Python service has revoked it, because its user signed out or has a new password"
                    .to_owned()
            }
            Self::UserMissing => "its user does not exist".to_owned(),
            Self::UserDisabled => "its user is disabled".to_owned(),
        }
    }
}

/// The name of an error, for programs.
pub(super) fn code(error: TokenError) -> &'static str {
    match error {
        TokenError::NotThreeParts | TokenError::NotBase64(_) | TokenError::NotAnObject(_) => {
            "malformed"
        }
        TokenError::OtherAlgorithm | TokenError::CriticalExtension => "algorithm",
        TokenError::WrongSignature => "signature",
        TokenError::OtherType => "type",
        TokenError::MissingClaim(_) | TokenError::NotANumber(_) | TokenError::NotAUserId => "claim",
        TokenError::Expired => "expired",
        TokenError::NotYetValid => "not_yet_valid",
    }
}

/// Whether the user is active; `None` if there is no such user. Changes nothing.
async fn user_is_active(id: Uuid, config: &Config) -> anyhow::Result<Option<bool>> {
    if let Stores::Embedded(embedded) = &config.stores {
        sqlite_file::require_database(&sqlite::settings(embedded))
            .map_err(|missing| anyhow!("{missing}: is DATA_DIR right?"))?;
    }
    let storage = open_stores(config, &surroundings()?, &Metrics::new())?.storage;
    let user = match storage.prepare(Migrations::Manual).await {
        Ok(_) => storage.user_by_id(id).await,
        Err(error) => Err(error),
    };
    storage.close().await;
    Ok(user?.map(|user| user.is_active))
}
