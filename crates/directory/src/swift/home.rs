//! The home node: which storage node of a network keeps an address's values.
//!
//! Invariant: the same network and address give the same node as the reference computes, its faults
//! included, because two operators who disagree would lose the values: a search whose last probe
//! wins need not end at the nearest hash, nobody wraps around, and of a bare IPv6 address only the
//! first group counts.

use super::{
    SwiftNode, SwiftRole, SwiftTime,
    merge::{Entry, Manager},
};

/// The modulus of the generator that fills Go's `math/rand` source from a seed.
const SEED_MODULUS: u64 = (1 << 31) - 1;
/// Its multiplier.
const SEED_MULTIPLIER: u64 = 48_271;
/// What it uses for a seed of 0.
const SEED_FOR_ZERO: u64 = 89_482_311;
/// How many values it drops before it fills anything.
const SEED_DROPPED: u64 = 20;

/// Go's source has 607 words, each made of three values of that generator and a fixed word. Its
/// first output is the sum of two of them, so that only these are needed: index and fixed word.
const SUMMANDS: [(u64, u64); 2] =
    [(333, 13_813_372_221_700_659_651), (606, 4_152_330_101_494_654_406)];

/// A node's or address's place among the nodes of a network: FNV-1a as the seed of Go's source,
/// and its first output.
pub fn hash(text: &str) -> u64 {
    let seed = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    first_output(seed)
}

/// The first output of Go's source for a seed, which it takes as signed.
fn first_output(seed: u64) -> u64 {
    let seed = seed.cast_signed().rem_euclid(SEED_MODULUS.cast_signed()).cast_unsigned();
    let seed = if seed == 0 { SEED_FOR_ZERO } else { seed };
    let step = |value: u64| value * SEED_MULTIPLIER % SEED_MODULUS;
    SUMMANDS.iter().fold(0, |sum: u64, (index, fixed)| {
        let steps_before = SEED_DROPPED + 3 * index;
        let high = step((0..steps_before).fold(seed, |value, _| step(value)));
        let middle = step(high);
        sum.wrapping_add(high << 40 ^ middle << 20 ^ step(middle) ^ fixed)
    })
}

/// The address of a browser: the first run of digits and dots, or the first bracketed text, of the
/// header `X-Forwarded-For`, else of the connection's address.
pub fn browser_address<'a>(forwarded_for: &'a str, remote_address: &'a str) -> Option<&'a str> {
    first_address(forwarded_for).or_else(|| first_address(remote_address))
}

fn first_address(text: &str) -> Option<&str> {
    let is_of_run = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text;
    loop {
        rest = &rest[rest.find(|c| is_of_run(c) || c == '[')?..];
        if !rest.starts_with('[') {
            return Some(&rest[..rest.find(|c| !is_of_run(c)).unwrap_or(rest.len())]);
        }
        match rest.find(']') {
            Some(end) => return Some(&rest[..=end]),
            None => rest = &rest[1..],
        }
    }
}

impl Manager {
    /// The home node of an address among the storage nodes of a network that have not expired;
    /// whether they have started or are alive does not count. `None` if there are none.
    pub fn home_node(&self, network: &str, address: &str, now: SwiftTime) -> Option<&SwiftNode> {
        let is_storage = |entry: &&Entry| {
            let node = &entry.node;
            node.network == network && node.role == SwiftRole::Storage && !node.has_expired(now)
        };
        let storage = self.all_nodes().filter(is_storage);
        let mut nodes: Vec<(u64, &SwiftNode)> =
            storage.map(|entry| (hash(entry.node.domain.as_str()), &*entry.node)).collect();
        nodes.sort_by_key(|(hash, _)| *hash);
        last_probe(&nodes, hash(address))
    }
}

/// A binary search that gives what it looked at last.
fn last_probe<'a>(nodes: &[(u64, &'a SwiftNode)], wanted: u64) -> Option<&'a SwiftNode> {
    let (mut low, mut end) = (0, nodes.len());
    let mut last = None;
    while low < end {
        // The middle of `low..=end - 1`, rounded down.
        let middle = (low + end - 1) / 2;
        let (hash, node) = nodes[middle];
        last = Some(node);
        match hash.cmp(&wanted) {
            std::cmp::Ordering::Equal => break,
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => end = middle,
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_as_the_reference_finds_them() {
        for (forwarded_for, remote_address, address) in [
            ("10.0.0.1", "10.0.0.2:80", Some("10.0.0.1")),
            ("unknown", "10.0.0.2:80", Some("10.0.0.2")),
            ("[::1], 10.0.0.1", "", Some("[::1]")),
            ("[::1, 10.0.0.1", "", Some("1")),
            ("[", "ä[é", None),
            ("", "", None),
        ] {
            assert_eq!(
                browser_address(forwarded_for, remote_address),
                address,
                "{forwarded_for:?}"
            );
        }
    }

    #[test]
    fn a_network_without_storage_nodes_has_no_home() {
        let manager = Manager::default();
        assert_eq!(manager.home_node("net1", "10.0.0.1", SwiftTime::ZERO), None);
    }
}
