//! `RATE_LIMITS` and the budgets.

use std::time::Duration;

use discogsography_api::config::{Budget, RateLimits};

use super::{loaded, names_of_problems};

#[test]
fn a_budget_is_a_number_of_requests_per_seconds() {
    let config = loaded(&[("RATE_LIMIT_VERIFY", " 3 / 30 ")]);
    let RateLimits::On(budgets) = config.rate_limits else { panic!("on unless switched off") };
    assert_eq!(budgets.verify, Budget { most: 3, window: Duration::from_secs(30) });
    let off = loaded(&[("RATE_LIMITS", "off")]);
    assert_eq!((off.rate_limits, off.warnings.len()), (RateLimits::Off, 1));
    for wrong in ["5", "0/60", "1001/60", "5/0", "5/86401", "-1/60", "5/60/1", "/", "5 per minute"]
    {
        assert_eq!(names_of_problems(&[("RATE_LIMIT_VERIFY", wrong)]), ["RATE_LIMIT_VERIFY"]);
    }
}
