//! Seals a text with a new key, opens it, and shows what happens to a changed token.

use std::array;
use std::error::Error;
use std::io::{Write as _, stderr};

use fernet_seal::{MasterKey, looks_sealed};
use secrecy::ExposeSecret as _;

fn main() -> Result<(), Box<dyn Error>> {
    // A program takes these bytes, and each IV, from the operating system.
    let random = array::from_fn(|at| u8::try_from(at).unwrap_or(0));
    let text = MasterKey::generate(&random);
    let master = MasterKey::parse(text.expose_secret())?;
    let key = master.fernet_key("oauth-tokens");
    let token = key.seal("a secret", 1_700_000_000, [7; 16]);

    let mut out = stderr();
    writeln!(out, "key {} ({master:?})", master.fingerprint())?;
    writeln!(out, "token {token} (looks sealed: {})", looks_sealed(&token))?;
    writeln!(out, "opened: {}", key.open(&token)?.expose_secret())?;
    if let Err(error) = key.open(&token.replacen("AAAA", "AAAB", 1)) {
        writeln!(out, "a changed token: {error}")?;
    }
    Ok(())
}
