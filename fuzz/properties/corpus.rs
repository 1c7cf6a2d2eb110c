//! Gives every file of a target's corpus to what the fuzzer gives its inputs to.

use std::fs;

/// As many as a corpus may have: it is a beginning, not an archive.
const MOST_FILES: usize = 12;

/// Replays the committed corpus of one target.
pub(crate) fn replay(target: &str, holds: impl Fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!((1..=MOST_FILES).contains(&files.len()), "{target} has {} files", files.len());
    for file in files {
        holds(&fs::read(file).unwrap());
    }
}
