//! Files that a setting names, and the secret: small, so that a wrong name can't take all memory.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// The most that such a file has, in bytes. The roots of a system are a fifth of it.
const LENGTH: u64 = 1024 * 1024;

/// Reads a file as a whole.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let length = File::open(path)?.take(LENGTH + 1).read_to_end(&mut content)?;
    if length as u64 > LENGTH {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(content)
}

/// Reads a file as a whole, as text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{LENGTH, read, read_text};

    #[test]
    fn a_file_is_read_up_to_a_mebibyte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let most = vec![b'x'; usize::try_from(LENGTH).unwrap()];
        fs::write(&path, &most).unwrap();
        assert_eq!(read(&path).unwrap(), most);
        fs::write(&path, [&most[..], b"x"].concat()).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "it is larger than 1 MiB");
        assert!(read(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path).unwrap_err().to_string(), "it is no text in UTF-8");
    }
}
