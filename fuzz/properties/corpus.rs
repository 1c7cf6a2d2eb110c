//! Passes every file of a target's corpus to the target's property.

use std::fs;

/// The size of a corpus is limited: it is a starting point, not an archive.
const MAX_FILES: usize = 12;

/// Replays the committed corpus of one target.
pub(crate) fn replay(target: &str, holds: impl Fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!((1..=MAX_FILES).contains(&files.len()), "{target} has {} files", files.len());
    for file in files {
        holds(&fs::read(file).unwrap());
    }
}
