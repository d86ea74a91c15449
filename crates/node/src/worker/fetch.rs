//! Scripts by address, with limits, and without reaching into private networks.
//!
//! Invariant: outside of the network's own nodes, nothing is fetched from a loopback, private,
//! link-local or otherwise special address, whatever a name resolves to at the moment of the call;
//! redirects are not followed.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use wire::{CodeHash, compute::MAX_CODE_BYTES};

use crate::members::Members;

/// How long a script may take to come.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many scripts are kept, by their hash.
const KEPT: usize = 256;

/// Why a script could not be had. The words are the same on every worker that meets the same, so
/// that workers can agree on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the script's address is not an http or https URL")]
    Address,
    #[error("the script's address is not a public one")]
    Forbidden,
    #[error("the script could not be fetched")]
    Unreachable,
    #[error("the script's address answered with status {0}")]
    Status(u16),
    #[error("the script is longer than {MAX_CODE_BYTES} bytes")]
    TooLong,
    #[error("the script is not UTF-8 text")]
    NotText,
    #[error("the script does not have the hash that the request pins")]
    OtherHash,
}

impl FetchError {
    /// A stable word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Address | Self::Forbidden => "code_address",
            Self::Unreachable | Self::Status(_) => "code_unavailable",
            Self::TooLong => "code_too_long",
            Self::NotText => "code_not_text",
            Self::OtherHash => "code_mismatch",
        }
    }
}

/// Whether an address lies on the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Global unicast only (2000::/3), less documentation, 6to4, Teredo and NAT64 forms, which can
    // carry a private IPv4 address.
    (0x2000..0x4000).contains(&segments[0])
        && !(segments[0] == 0x2001 && segments[1] < 0x0200)
        && !(segments[0] == 0x2001 && segments[1] == 0x0db8)
        && segments[0] != 0x2002
        && !(segments[0] == 0x3fff && segments[1] < 0x1000)
}

/// Resolves names, and drops what is not public.
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err("no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Fetches scripts.
pub(crate) struct Fetcher {
    members: Arc<Members>,
    /// For the network's own nodes, and everywhere where that is allowed.
    direct: reqwest::Client,
    public: reqwest::Client,
    fetch_private: bool,
    kept: Mutex<VecDeque<(CodeHash, Arc<str>)>>,
}

impl Fetcher {
    pub(crate) fn new(members: Arc<Members>, fetch_private: bool) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .redirect(Policy::none())
                .timeout(TIMEOUT)
                .no_proxy()
                .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            members,
            direct: builder().build()?,
            public: builder().dns_resolver(Arc::new(PublicResolver)).build()?,
            fetch_private,
            kept: Mutex::default(),
        })
    }

    /// The script at an address, with its hash; the pinned one may come from memory.
    pub(crate) async fn fetch(
        &self,
        uri: &str,
        pinned: Option<CodeHash>,
    ) -> Result<(CodeHash, Arc<str>), FetchError> {
        if let Some(hash) = pinned
            && let Some(source) = self.kept(&hash)
        {
            return Ok((hash, source));
        }
        let bytes = self.download(uri).await?;
        let hash = CodeHash::of(&bytes);
        if pinned.is_some_and(|pinned| pinned != hash) {
            return Err(FetchError::OtherHash);
        }
        let source: Arc<str> = String::from_utf8(bytes).map_err(|_| FetchError::NotText)?.into();
        if pinned.is_some() {
            self.keep(hash, Arc::clone(&source));
        }
        Ok((hash, source))
    }

    fn kept(&self, hash: &CodeHash) -> Option<Arc<str>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == hash).map(|(_, source)| Arc::clone(source))
    }

    fn keep(&self, hash: CodeHash, source: Arc<str>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().all(|(known, _)| *known != hash) {
            kept.push_back((hash, source));
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    async fn download(&self, uri: &str) -> Result<Vec<u8>, FetchError> {
        let url = Url::parse(uri).map_err(|_| FetchError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(FetchError::Address);
        }
        let client = self.client_for(&url)?;
        let unreachable = |_: reqwest::Error| FetchError::Unreachable;
        let mut response = client.get(url).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_CODE_BYTES {
                return Err(FetchError::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, FetchError> {
        let host = url.host_str().ok_or(FetchError::Address)?;
        let port = url.port_or_known_default().ok_or(FetchError::Address)?;
        let domain = format!("{host}:{port}");
        let snapshot = self.members.snapshot();
        let own = snapshot.nodes().any(|known| known.body.domain == domain);
        if own || self.fetch_private {
            return Ok(&self.direct);
        }
        // A resolver is not asked about an address that needs no resolving.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if literal.is_ok_and(|address| !is_public(address)) {
            return Err(FetchError::Forbidden);
        }
        Ok(&self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for address in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001::1",
        ];
        for address in special {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
    }
}
