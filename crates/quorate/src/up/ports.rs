//! Listening sockets on this machine: the earlier port where it is free, else a new one.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Context as _, Result, bail};

/// How often a free port is asked for before giving up: each answer can be one that is spoken for.
const TRIES: usize = 256;

/// A socket on the port of `domain`, if that is one of this machine and free.
pub fn earlier(domain: &str) -> Option<TcpListener> {
    let address: SocketAddr = domain.parse().ok()?;
    (address.ip() == Ipv4Addr::LOCALHOST).then(|| TcpListener::bind(address).ok()).flatten()
}

/// A socket on a port that is free and not in `taken`, the domains of other nodes.
pub fn fresh(taken: &BTreeSet<String>) -> Result<(TcpListener, String)> {
    // Those that are not wanted stay open meanwhile, or the same would come again.
    let mut unwanted = Vec::new();
    while unwanted.len() < TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let domain = listener.local_addr().context("a socket without address")?.to_string();
        if !taken.contains(&domain) {
            return Ok((listener, domain));
        }
        unwanted.push(listener);
    }
    bail!("every free port belongs to a node that is not running")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_had_again_once_it_is_free() {
        let (listener, domain) = fresh(&BTreeSet::new()).expect("a port");
        assert!(earlier(&domain).is_none(), "it is in use");
        drop(listener);
        assert!(earlier(&domain).is_some(), "it is free");
        assert!(earlier("node.example.org:80").is_none());
    }
}
