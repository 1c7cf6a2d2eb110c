//! A value that several variables may give, which must then agree.

use super::super::reader::Reader;

/// What one variable says. Its `Debug` is left out on purpose: it may be a password.
pub(super) struct Given<T> {
    name: String,
    value: T,
}

impl<T> Given<T> {
    /// The value of this variable, if it has one.
    pub(super) fn by(name: impl Into<String>, value: Option<T>) -> Option<Self> {
        value.map(|value| Self { name: name.into(), value })
    }
}

/// The value that all of them give; where two differ, a problem that names both and shows neither.
pub(super) fn agreed<T: PartialEq>(
    reader: &mut Reader<'_>,
    what: &str,
    given: impl IntoIterator<Item = Option<Given<T>>>,
) -> Option<T> {
    let mut given = given.into_iter().flatten();
    let first = given.next()?;
    for other in given.filter(|other| other.value != first.value) {
        let problem =
            format!("gives another {what} than {}: make them agree, or keep one", first.name);
        reader.problem(&other.name, problem, None);
    }
    Some(first.value)
}
