//! `PYTHON_COMPAT`, which needs the Python service's Redis.

use discogsography_api::config::PythonCompat;

use super::databases::COMPLETE;
use super::{assert_problem, loaded, problems};

#[test]
fn python_compat_is_off_by_default() {
    assert_eq!(loaded(&[]).python_compat, PythonCompat::Off);
    assert_eq!(loaded(&COMPLETE).python_compat, PythonCompat::Off);
    let on = [&COMPLETE[..], &[("PYTHON_COMPAT", "on")]].concat();
    assert_eq!(loaded(&on).python_compat, PythonCompat::On);
}

#[test]
fn a_python_service_needs_redis() {
    assert_problem(
        &[("PYTHON_COMPAT", "on")],
        "PYTHON_COMPAT is on, but there is no Redis: set PYTHON_COMPAT=off, or set REDIS_URL to \
         the Redis of the Python service (for example: REDIS_URL=redis://cache.example.com:6379/0)",
    );
    let without_redis: Vec<_> =
        COMPLETE.into_iter().filter(|(name, _)| *name != "REDIS_URL").collect();
    let text = problems(&[&without_redis[..], &[("PYTHON_COMPAT", "on")]].concat());
    assert_eq!(text.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["REDIS_URL"]);
}
