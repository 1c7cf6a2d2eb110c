//! Lists the files of `migrations/` for `src/migrations.rs`.
//!
//! So a new migration is compiled in without being listed anywhere else.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let lists = format!("{}{}", list("POSTGRES", "postgres")?, list("SQLITE", "sqlite")?);
    let folder = env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    Ok(fs::write(Path::new(&folder).join("migrations.rs"), lists)?)
}

/// Returns the source of one constant: the migrations of one folder, in order.
fn list(constant: &str, folder: &str) -> Result<String, Box<dyn Error>> {
    let files = fs::read_dir(Path::new("migrations").join(folder))?;
    let mut paths =
        files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    paths.sort();
    let mut source = format!("/// For {folder}.\npub const {constant}: &[Migration] = &[\n");
    for path in paths {
        let name = path.file_stem().and_then(OsStr::to_str);
        let (number, name) = name.and_then(|name| name.split_once('_')).ok_or("0001_name.sql")?;
        let (number, path) = (number.parse::<i32>()?, format!("/{}", path.display()));
        writeln!(
            source,
            "Migration {{ number: {number}, name: {name:?}, \
             sql: include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})) }},"
        )?;
    }
    Ok(source + "];\n")
}
