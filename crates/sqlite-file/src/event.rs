//! What a program may want to log.

use std::io;
use std::path::Path;

use crate::Error;

/// Something that happened to the file and that no call returns.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Others could read the file; now only its owner can.
    ClosedToOthers(&'a Path),
    /// Others may be able to read the file, and its mode can't be changed.
    OpenToOthers(&'a Path, &'a io::Error),
    /// The file is damaged, and is no longer read or written. Says what is damaged.
    Damaged(&'a str),
    /// Writes now fail, or fail for a different reason than before.
    WritesFail(&'a Error),
    /// Writes succeed again.
    WritesSucceed,
}
