//! Writes a secret that only its owner can read, and reads it again.

use std::error::Error;
use std::io::{Write as _, stderr};
use std::os::unix::fs::PermissionsExt as _;

use private_files::{PendingFile, check, make_folder, small};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("private-files-example");
    make_folder(&folder)?;
    let path = folder.join("secret");
    check(&path)?;
    let mut file = PendingFile::beside(&path)?;
    file.file().write_all(b"correct horse")?;
    file.replace(&path)?;
    let mode = path.metadata()?.permissions().mode();
    let content = small::read_text(&path)?;
    Ok(writeln!(stderr(), "{} holds `{content}`, mode {mode:o}", path.display())?)
}
