//! Records for the tests of this module tree.

use wire::Millis;

use super::{NodeFields, Secret, SecretKey, SwiftNode, SwiftRole, SwiftTime};

/// A moment of the tests, in ms since 1970: 2026-11-21.
pub const NOW: Millis = Millis(1_795_000_000_000);

pub fn time(text: &str) -> SwiftTime {
    text.parse().expect("a date")
}

pub fn secret(number: u8, time_stamp: SwiftTime) -> Secret {
    Secret { time_stamp, key: SecretKey::new(&[number; 32]) }
}

/// A storage node of network `net1` that is current at [`NOW`].
pub fn node(domain: &str) -> SwiftNode {
    SwiftNode::new(NodeFields {
        network: "net1".to_owned(),
        domain: domain.parse().expect("a domain"),
        created: time("2026-01-02T03:04:05Z"),
        starts: time("2026-01-02T03:04:05Z"),
        expires: time("2030-01-01T00:00:00Z"),
        role: SwiftRole::Storage,
        secrets: vec![secret(domain.len() as u8, time("2026-01-02T03:04:05Z"))],
        scrambler: None,
        cookie_domain: String::new(),
    })
    .expect("a good record")
}

/// The same with some fields changed.
pub fn changed(domain: &str, change: impl FnOnce(&mut NodeFields)) -> SwiftNode {
    let mut fields = node(domain).into_fields();
    change(&mut fields);
    SwiftNode::new(fields).expect("a good record")
}

/// A share node.
pub fn share(domain: &str) -> SwiftNode {
    changed(domain, |fields| fields.role = SwiftRole::Share)
}
