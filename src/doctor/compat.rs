//! Reports whether `PYTHON_COMPAT` has to be on.

use super::inspect::PythonKeys;
use super::report::{Check, Finding};
use crate::config::PythonCompat;
use crate::expiring::ExpiringError;

/// Reports what a newer Python service left, and whether the service takes account of it.
pub(super) fn python_compat(
    setting: PythonCompat,
    later_python: &[String],
    keys: PythonKeys,
) -> Finding {
    let check = Check::PythonCompat;
    match (setting, keys.marks) {
        (PythonCompat::On, 0) => {
            Finding::ok(check, "PYTHON_COMPAT is on; Redis contains no token that Python revoked")
        }
        (PythonCompat::On, marks) => {
            let what = format!("PYTHON_COMPAT is on: {} respected", revocations(marks));
            Finding::ok(check, what)
        }
        (PythonCompat::Off, 0) if later_python.is_empty() => Finding::ok(
            check,
            "PYTHON_COMPAT is off, and no newer release of the Python service was found",
        ),
        (PythonCompat::Off, 0) => {
            let what = "PYTHON_COMPAT is off, and a newer release of the Python service has used the database";
            Finding::note(
                check,
                what,
                "Nothing to do if it no longer runs; otherwise set PYTHON_COMPAT=on",
            )
        }
        (PythonCompat::Off, marks) => {
            let what = format!("PYTHON_COMPAT is off: {} ignored", revocations(marks));
            Finding::error(check, what, "Set PYTHON_COMPAT=on as long as the Python service runs")
        }
    }
}

/// Reports that the keys in Redis could not be read.
pub(super) fn unknown(error: &ExpiringError) -> Finding {
    Finding::note(
        Check::PythonCompat,
        format!("Can't tell whether Redis contains revocations of a Python service: {error}"),
        "Make Redis available, and let its user run SCAN",
    )
}

fn revocations(marks: u64) -> String {
    if marks == 1 {
        "1 revocation of the Python service is".to_owned()
    } else {
        format!("{marks} revocations of the Python service are")
    }
}
