//! `TRUSTED_PROXIES`: its syntax, and warnings about networks that are too large.

use discogsography_api::config::Warning;

use super::{loaded, names_of_problems};

#[test]
fn proxies_are_addresses_and_networks() {
    let config = loaded(&[("TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.7,2001:db8::/32,::1")]);
    let networks: Vec<_> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.168.1.7/32", "2001:db8::/32", "::1/128"]);
    let all = loaded(&[("TRUSTED_PROXIES", "0.0.0.0/0")]);
    assert_eq!(all.warnings.len(), 1, "{:?}", all.warnings);
    for wrong in ["proxy.example.com", "10.0.0.0/33", "10.0.0", "10.0.0.1:80"] {
        assert_eq!(names_of_problems(&[("TRUSTED_PROXIES", wrong)]), ["TRUSTED_PROXIES"]);
    }
}

#[test]
fn ipv4_mapped_proxies_become_ipv4_networks() {
    let networks = |value: &str| -> Vec<String> {
        let config = loaded(&[("TRUSTED_PROXIES", value)]);
        config.trusted_proxies.iter().map(ToString::to_string).collect()
    };
    assert_eq!(networks("::ffff:127.0.0.0/104"), ["127.0.0.0/8"]);
    assert_eq!(networks("::ffff:a00:1"), ["10.0.0.1/32"]);
    assert_eq!(networks("::FFFF:10.1.2.3/128,fd00::/8"), ["10.1.2.3/32", "fd00::/8"]);
    assert_eq!(networks("::ffff:0:0/96"), ["::ffff:0.0.0.0/96", "0.0.0.0/0"]);
    assert_eq!(networks("::/0"), ["::/0", "0.0.0.0/0"]);
}

#[test]
fn proxies_that_cover_much_of_the_internet_cause_a_warning() {
    let warnings = |value: &str| {
        let warnings = loaded(&[("TRUSTED_PROXIES", value)]).warnings;
        let texts = warnings.into_iter().map(|warning| match warning {
            Warning::Careful(text) | Warning::Alarming(text) => text,
        });
        texts.collect::<Vec<_>>()
    };
    let all = "TRUSTED_PROXIES trusts every client: each can claim any address";
    for value in [
        "0.0.0.0/0",
        "::/0",
        "::/1",
        "0.0.0.0/1,128.0.0.0/1",
        "128.0.0.0/2, 0.0.0.0/1, 192.0.0.0/2",
        "::/1,8000::/1",
        "::ffff:0:0/96",
        "::ffff:0.0.0.0/97,::ffff:128.0.0.0/97",
    ] {
        assert_eq!(warnings(value), [all], "{value}");
    }
    let large = "TRUSTED_PROXIES trusts a large part of the internet: anyone there can claim any \
                address";
    for value in ["0.0.0.0/1", "64.0.0.0/3,8.0.0.0/8", "2000::/3", "2000::/4,3000::/4", "2400::/12"]
    {
        assert_eq!(warnings(value), [large], "{value}");
    }
    let usual = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,\
                 fc00::/7,fe80::/10,::1,104.16.0.0/13,162.158.0.0/15,2400:cb00::/32,2a06:98c0::/29";
    assert_eq!(warnings(usual), Vec::<String>::new());
}
