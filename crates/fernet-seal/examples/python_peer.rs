//! The Rust side of `scripts/check-fernet`: answers each line, a list in JSON, with a line.
//!
//! `["seal", master key, purpose, plain, seconds, IV in hex]` is answered with `[token]`, and
//! `["open", master key, purpose, token]` with `[plain]`. An error is answered with its name.

use std::error::Error;
use std::io::{BufWriter, Write as _, stdin, stdout};

use fernet_seal::MasterKey;
use secrecy::ExposeSecret as _;
use serde_json::{Value, from_str, from_value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lines() {
        writeln!(out, "{}", answer(&from_str::<Vec<Value>>(&line?)?)?)?;
    }
    Ok(out.flush()?)
}

fn answer(line: &[Value]) -> Result<Value, Box<dyn Error>> {
    let [operation, master, rest @ ..] = line else {
        return Err("a line is too short".into());
    };
    let master = match MasterKey::parse(master.as_str().unwrap_or_default()) {
        Ok(master) => master,
        Err(error) => return Ok(json!(format!("{error:?}"))),
    };
    let rest = Value::from(rest);
    if operation == "seal" {
        let (purpose, plain, seconds, iv): (String, String, u64, String) = from_value(rest)?;
        let mut iv_bytes = [0; 16];
        hex::decode_to_slice(iv, &mut iv_bytes)?;
        return Ok(json!([master.fernet_key(&purpose).seal(&plain, seconds, iv_bytes)]));
    }
    let (purpose, token): (String, String) = from_value(rest)?;
    Ok(match master.fernet_key(&purpose).open(&token) {
        Ok(plain) => json!([plain.expose_secret()]),
        Err(error) => json!(format!("{error:?}")),
    })
}
