//! Reads the small files that settings name.
//!
//! No path can block the program or fill its memory: only regular files are opened, and at most 1
//! MiB is read.

use std::fs::{self, FileType};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::open;

/// The largest file that is read, in bytes: five times a typical system's root certificates.
const LENGTH: u64 = 1024 * 1024;

/// The mark that some editors write at the start of a text file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads a whole file, except a byte order mark at its start.
///
/// # Errors
///
/// If the file can't be read, is not a regular file, or is larger than 1 MiB. The error never shows the
/// content.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a device can have an effect, so the path is checked first.
    check_kind(fs::metadata(path)?.file_type())?;
    let file = open(path)?;
    // The path may lead to another file by now.
    check_kind(file.metadata()?.file_type())?;
    let mut content = Vec::new();
    let length = file.take(LENGTH + 1).read_to_end(&mut content)?;
    if length as u64 > LENGTH {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    if content.starts_with(BYTE_ORDER_MARK) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(content)
}

/// Reads a whole file as text.
///
/// # Errors
///
/// As [`read`], or if the file is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn check_kind(found: FileType) -> io::Result<()> {
    other_kind(found).map_or(Ok(()), |kind| {
        let problem = format!("it is {kind}, not a regular file");
        Err(io::Error::new(ErrorKind::InvalidInput, problem))
    })
}

/// Returns the kind of a file that is not regular.
pub(crate) fn other_kind(found: FileType) -> Option<&'static str> {
    if found.is_file() {
        None
    } else if found.is_dir() {
        Some("a directory")
    } else if found.is_fifo() {
        Some("a FIFO")
    } else if found.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::{LENGTH, read, read_text};
    use crate::open;

    #[test]
    fn a_file_is_read_up_to_a_mebibyte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let most = vec![b'x'; usize::try_from(LENGTH).unwrap()];
        fs::write(&path, &most).unwrap();
        assert_eq!(read(&path).unwrap(), most);
        fs::write(&path, [&most[..], b"x"].concat()).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "it is larger than 1 MiB");
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path).unwrap_err().to_string(), "it is not UTF-8 text");
    }

    #[test]
    fn a_byte_order_mark_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "\u{feff}s3cret").unwrap();
        assert_eq!(read_text(&path).unwrap(), "s3cret");
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
        mkfifoat(CWD, &fifo, Mode::RUSR).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for (path, what) in [
            (&*fifo, "it is a FIFO, not a regular file"),
            (&link, "it is a FIFO, not a regular file"),
            (&socket, "it is a socket, not a regular file"),
            (folder.path(), "it is a directory, not a regular file"),
            (Path::new("/dev/zero"), "it is a device, not a regular file"),
            (Path::new("/dev/tty"), "it is a device, not a regular file"),
        ] {
            assert_eq!(read(path).unwrap_err().to_string(), what, "{path:?}");
        }
        // A path that becomes a FIFO after the check must not block.
        assert!(open(&fifo).is_ok());
    }
}
