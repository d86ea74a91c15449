//! What nodes say to each other, packed: zlib, then AES-GCM if the receiver has a secret. And the
//! scrambler, by which a node's tables and keys get names of its own.
//!
//! Invariants: a decoder never holds more than the caller's limit of plain bytes, however the input
//! was made; any of a node's secrets opens an envelope; errors read as clients of the reference know
//! them. The initialisation vector is an argument: 12 random bytes, never the same for one key.

use std::io::Write as _;

use aes_gcm::{
    Aes128Gcm, Aes256Gcm, AesGcm, KeyInit as _, Nonce, aead::Aead as _, aead::consts::U12,
    aes::Aes192,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, Decompress, FlushDecompress, Status, write::ZlibEncoder};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Secret, SecretKey, SwiftNode};

/// The bytes of an initialisation vector, which stands in front of the ciphertext.
pub const IV_BYTES: usize = 12;
/// The bytes of GCM's tag, which stands behind it.
pub const TAG_BYTES: usize = 16;
/// The longest envelope that is opened: a list of some ten thousand nodes, and small enough that a
/// dozen at once do no harm.
pub const MAX_ENVELOPE_BYTES: usize = 4 << 20;
/// The longest name that is scrambled: many times what fits in a URL's segment or a cookie's name.
pub const MAX_NAME_BYTES: usize = 4 << 10;

/// Plain bytes come out of the decompressor in pieces of this size.
const PIECE_BYTES: usize = 8 << 10;

/// Why an envelope does not open. Where the reference knows the fault, the words are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// There is not even a whole initialisation vector.
    #[error("data length '{0}' shorter than nonce '{IV_BYTES}'")]
    Short(usize),
    /// None of the node's secrets made it, or it was changed.
    #[error("cipher: message authentication failed")]
    Authentication,
    /// It is authentic and holds nothing.
    #[error("no secrets available to decrypt byte array")]
    Empty,
    /// What is inside is not zlib.
    #[error("zlib: invalid header")]
    Header,
    /// The stream wants a dictionary, which nobody has.
    #[error("zlib: invalid dictionary")]
    Dictionary,
    /// The compressed data is damaged.
    #[error("flate: corrupt input")]
    Corrupt,
    /// The plain bytes are not those that were compressed.
    #[error("zlib: invalid checksum")]
    Checksum,
    /// The stream ends too early.
    #[error("unexpected EOF")]
    UnexpectedEnd,
    /// The envelope is larger than any that is opened.
    #[error("data length '{0}' above the limit of {MAX_ENVELOPE_BYTES}")]
    TooLong(usize),
    /// It holds more plain bytes than the receiver takes.
    #[error("more than {0} bytes after decompression")]
    PlainTooLong(usize),
}

/// Packs `plain` for the node that shares `secret`, or for a node without secrets.
pub fn encode(secret: Option<&SecretKey>, iv: [u8; IV_BYTES], plain: &[u8]) -> Vec<u8> {
    let compressed = compress(plain);
    match secret {
        Some(key) => seal(key, iv, &compressed),
        None => compressed.to_vec(),
    }
}

/// Opens an envelope for the node that has these secrets, with any of them, and gives at most
/// `most_plain` bytes.
pub fn decode(
    secrets: &[Secret],
    wire: &[u8],
    most_plain: usize,
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    if wire.len() > MAX_ENVELOPE_BYTES {
        return Err(EnvelopeError::TooLong(wire.len()));
    }
    if secrets.is_empty() {
        return decompress(wire, most_plain);
    }
    let (iv, sealed) =
        wire.split_first_chunk::<IV_BYTES>().ok_or(EnvelopeError::Short(wire.len()))?;
    let compressed = secrets.iter().find_map(|secret| open(&secret.key, *iv, sealed));
    let compressed = compressed.ok_or(EnvelopeError::Authentication)?;
    if compressed.is_empty() {
        return Err(EnvelopeError::Empty);
    }
    decompress(&compressed, most_plain)
}

/// Seals bytes as they are: the vector, the ciphertext, the tag.
pub(super) fn seal(key: &SecretKey, iv: [u8; IV_BYTES], plain: &[u8]) -> Vec<u8> {
    let nonce = Nonce::<U12>::from_slice(&iv);
    let sealed = match key.as_bytes() {
        key if key.len() == 16 => Aes128Gcm::new(key.into()).encrypt(nonce, plain),
        key if key.len() == 24 => AesGcm::<Aes192, U12>::new(key.into()).encrypt(nonce, plain),
        key => Aes256Gcm::new(key.into()).encrypt(nonce, plain),
    };
    let sealed = sealed.expect("no plaintext is near the 64 GiB that GCM takes");
    [iv.as_slice(), &sealed].concat()
}

fn open(key: &SecretKey, iv: [u8; IV_BYTES], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = Nonce::<U12>::from_slice(&iv);
    let plain = match key.as_bytes() {
        key if key.len() == 16 => Aes128Gcm::new(key.into()).decrypt(nonce, sealed),
        key if key.len() == 24 => AesGcm::<Aes192, U12>::new(key.into()).decrypt(nonce, sealed),
        key => Aes256Gcm::new(key.into()).decrypt(nonce, sealed),
    };
    plain.ok().map(Zeroizing::new)
}

fn compress(plain: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    Zeroizing::new(written.expect("writing to memory does not fail"))
}

/// Reads one zlib stream; what stands behind it is ignored, as in Go. The frame is read here and
/// not by the library, so that each fault has its own error.
fn decompress(wire: &[u8], most: usize) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let (header, deflated) = wire.split_first_chunk().ok_or(EnvelopeError::UnexpectedEnd)?;
    let [method, flags] = *header;
    if method & 0x0f != 8 || method >> 4 > 7 || !u16::from_be_bytes(*header).is_multiple_of(31) {
        return Err(EnvelopeError::Header);
    }
    if flags & 0x20 != 0 {
        return Err(EnvelopeError::Dictionary);
    }
    let (plain, used) = inflate(deflated, most)?;
    let checksum = deflated.get(used..).and_then(|rest| rest.first_chunk());
    let checksum = checksum.ok_or(EnvelopeError::UnexpectedEnd)?;
    let good = u32::from_be_bytes(*checksum) == adler32(&plain);
    good.then_some(plain).ok_or(EnvelopeError::Checksum)
}

/// The plain bytes of a raw deflate stream, and how many bytes it took.
fn inflate(deflated: &[u8], most: usize) -> Result<(Zeroizing<Vec<u8>>, usize), EnvelopeError> {
    let mut inflater = Decompress::new(false);
    let mut plain = Zeroizing::new(Vec::new());
    let mut piece = Zeroizing::new([0; PIECE_BYTES]);
    loop {
        let (read, made) = (inflater.total_in() as usize, inflater.total_out());
        let status =
            inflater.decompress(&deflated[read..], piece.as_mut_slice(), FlushDecompress::None);
        let status = status.map_err(|_| EnvelopeError::Corrupt)?;
        let new = (inflater.total_out() - made) as usize;
        if plain.len() + new > most {
            return Err(EnvelopeError::PlainTooLong(most));
        }
        append(&mut plain, &piece[..new]);
        let used = inflater.total_in() as usize;
        match status {
            Status::StreamEnd => return Ok((plain, used)),
            _ if new == 0 && used == read => return Err(EnvelopeError::UnexpectedEnd),
            _ => {}
        }
    }
}

/// Grows without leaving a copy of the secrets inside where the bytes were before.
fn append(plain: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    if plain.capacity() < plain.len() + piece.len() {
        let mut larger = Vec::with_capacity((plain.len() + piece.len()) * 2);
        larger.extend_from_slice(plain);
        plain.zeroize();
        *plain = Zeroizing::new(larger);
    }
    plain.extend_from_slice(piece);
}

/// RFC 1950's checksum. Sums are reduced before they can overflow: 5552 bytes are safe.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1, 0);
    for piece in bytes.chunks(5_552) {
        for byte in piece {
            low += u32::from(*byte);
            high += low;
        }
        (low, high) = (low % MODULUS, high % MODULUS);
    }
    high << 16 | low
}

/// Why a scrambled name cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScrambleError {
    /// It is longer than any name.
    #[error("a name has at most {MAX_NAME_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// It is not base64 of the URL alphabet without padding.
    #[error("not base64 of the URL alphabet")]
    Base64,
    /// It was not made with this node's scrambler.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The name inside is not UTF-8.
    #[error("the name is not UTF-8")]
    Utf8,
}

/// The node's own text for a name; the name itself if it has no scrambler.
///
/// The vector is fixed by the domain, so the same name always gives the same text: cookies need
/// that. It also means that two texts of one node show the XOR of their names. Nothing secret may
/// be scrambled.
pub fn scramble(node: &SwiftNode, name: &str) -> Result<String, ScrambleError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(ScrambleError::TooLong(name.len()));
    }
    let Some(key) = &node.scrambler else { return Ok(name.to_owned()) };
    let domain = node.domain.as_str().as_bytes();
    let iv = std::array::from_fn(|index| domain[index % domain.len()]);
    Ok(URL_SAFE_NO_PAD.encode(seal(key, iv, name.as_bytes())))
}

/// The name of a text that [`scramble`] made.
pub fn unscramble(node: &SwiftNode, text: &str) -> Result<String, ScrambleError> {
    if text.len() > 2 * MAX_NAME_BYTES {
        return Err(ScrambleError::TooLong(text.len()));
    }
    let Some(key) = &node.scrambler else { return Ok(text.to_owned()) };
    let wire = URL_SAFE_NO_PAD.decode(text).map_err(|_| ScrambleError::Base64)?;
    let (iv, sealed) = wire.split_first_chunk().ok_or(EnvelopeError::Short(wire.len()))?;
    let name = open(key, *iv, sealed).ok_or(EnvelopeError::Authentication)?;
    String::from_utf8(name.to_vec()).map_err(|_| ScrambleError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swift::{SwiftTime, samples};

    const IV: [u8; IV_BYTES] = [7; IV_BYTES];

    fn secrets(numbers: &[u8]) -> Vec<Secret> {
        numbers.iter().map(|number| samples::secret(*number, SwiftTime::ZERO)).collect()
    }

    #[test]
    fn the_go_vectors_are_sealed_to_the_same_bytes() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/directory.json")).expect("JSON");
        let bytes =
            |value: &serde_json::Value| hex::decode(value.as_str().expect("hex")).expect("hex");
        for case in vectors["encode"].as_array().expect("cases") {
            let key = SecretKey::parse(case["secret"].as_str().expect("a key")).expect("a key");
            let iv = bytes(&case["iv_hex"]).try_into().expect("12 bytes");
            if let Some(zlib) = case["zlib_hex"].as_str() {
                let zlib = hex::decode(zlib).expect("hex");
                assert_eq!(seal(&key, iv, &zlib), bytes(&case["wire_hex"]), "{}", case["id"]);
            }
        }
    }

    #[test]
    fn secrets_rotate_any_opens() {
        let wire = encode(Some(&secrets(&[2])[0].key), IV, b"hello");
        for known in [&[2][..], &[1, 2], &[2, 1], &[3, 4, 2]] {
            assert_eq!(decode(&secrets(known), &wire, 5).expect("opens").as_slice(), b"hello");
        }
        assert_eq!(decode(&secrets(&[1, 3]), &wire, 5), Err(EnvelopeError::Authentication));
    }

    #[test]
    fn a_zip_bomb_is_refused_at_the_limit() {
        let bomb = encode(None, IV, &vec![0; 8 << 20]);
        assert!(bomb.len() < 10_000);
        assert_eq!(decode(&[], &bomb, 1 << 20), Err(EnvelopeError::PlainTooLong(1 << 20)));
        assert_eq!(decode(&[], &bomb, 8 << 20).map(|plain| plain.len()), Ok(8 << 20));
        assert_eq!(
            decode(&[], &bomb, (8 << 20) - 1),
            Err(EnvelopeError::PlainTooLong((8 << 20) - 1))
        );
    }

    #[test]
    fn an_envelope_above_the_limit_is_not_looked_at() {
        let wire = vec![0; MAX_ENVELOPE_BYTES + 1];
        assert_eq!(decode(&[], &wire, 1), Err(EnvelopeError::TooLong(MAX_ENVELOPE_BYTES + 1)));
    }

    #[test]
    fn each_fault_of_zlib_has_its_error() {
        let wire = encode(None, IV, b"hello hello hello");
        let end = wire.len();
        for length in 0..end {
            assert_eq!(decode(&[], &wire[..length], 99), Err(EnvelopeError::UnexpectedEnd));
        }
        let mut wrong = wire.clone();
        wrong[end - 1] ^= 1;
        assert_eq!(decode(&[], &wrong, 99), Err(EnvelopeError::Checksum));
        assert_eq!(decode(&[], &[0x78, 0x9d, 0], 99), Err(EnvelopeError::Header));
        assert_eq!(decode(&[], &[0x78, 0xbb, 0], 99), Err(EnvelopeError::Dictionary));
        assert_eq!(decode(&[], &[0x78, 0x9c, 0x07, 0, 0, 0, 0], 99), Err(EnvelopeError::Corrupt));
    }

    #[test]
    fn names_are_scrambled_per_node() {
        let plain = samples::node("a.test");
        assert_eq!(scramble(&plain, "tab").as_deref(), Ok("tab"));
        assert_eq!(unscramble(&plain, "tab").as_deref(), Ok("tab"));
        let own =
            |domain| samples::changed(domain, |f| f.scrambler = Some(SecretKey::new(&[9; 32])));
        let text = scramble(&own("a.test"), "tab").expect("short");
        assert_eq!(unscramble(&own("a.test"), &text).as_deref(), Ok("tab"));
        assert_ne!(scramble(&own("b.test"), "tab").expect("short"), text);
        let node = own("a.test");
        assert_eq!(unscramble(&node, "a+b="), Err(ScrambleError::Base64));
        assert_eq!(unscramble(&node, "AAAA"), Err(EnvelopeError::Short(3).into()));
        let long = "n".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(scramble(&node, &long), Err(ScrambleError::TooLong(MAX_NAME_BYTES + 1)));
        let long = "n".repeat(2 * MAX_NAME_BYTES + 1);
        assert_eq!(unscramble(&node, &long), Err(ScrambleError::TooLong(long.len())));
    }
}
