//! The properties of `scripts/fuzz`, checked on the corpora by ordinary tests.
//!
//! Properties of private types are included beside those types, in `src/`.

#[path = "../../fuzz/properties/access_token.rs"]
mod access_token;
#[path = "../../fuzz/properties/configuration.rs"]
mod configuration;
#[path = "../../fuzz/properties/model.rs"]
mod model;
#[path = "../../fuzz/properties/oauth_base_string.rs"]
mod oauth_base_string;
#[path = "../../fuzz/properties/oauth_header.rs"]
mod oauth_header;
#[path = "../../fuzz/properties/sealed.rs"]
mod sealed;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder, without their endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|entry| entry.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_target_is_built_has_a_corpus_and_is_replayed() {
    let targets = names("fuzz/fuzz_targets");
    let manifest = fs::read_to_string(path("fuzz/Cargo.toml")).unwrap();
    let built = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let built = built.map(|rest| rest.trim_end_matches(".rs\"").to_owned());
    assert_eq!(built.collect::<BTreeSet<_>>(), targets);
    assert_eq!(names("fuzz/corpus"), targets);
    let places = [
        "tests/it/fuzz.rs",
        "src/http/request/forwarded.rs",
        "src/http/request/input.rs",
        "src/accounts/password/stored.rs",
    ]
    .map(|place| fs::read_to_string(path(place)).unwrap());
    for target in &targets {
        let module = format!("fuzz/properties/{target}.rs\"]\nmod ");
        assert!(places.iter().any(|text| text.contains(&module)), "nothing replays {target}");
        let property = format!("fuzz/properties/{target}.rs");
        let property = fs::read_to_string(path(&property)).unwrap();
        assert!(property.contains(&format!("corpus::replay(\"{target}\", holds)")), "{target}");
    }
}
