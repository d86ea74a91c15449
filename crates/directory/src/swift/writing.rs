//! Writing lists of nodes, byte for byte as Go's `encoding/json` writes them.
//!
//! Invariant: whatever is written has all nine fields, none of them null, in alphabetical order, so
//! that no Go reader panics at it.

use std::{collections::BTreeMap, fmt::Write as _};

use zeroize::Zeroizing;

use super::{Secret, SwiftNode};

/// Which secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Only the one by which the node is talked to. For all that a Go peer may read: of several
    /// secrets it keeps the last one, while a Go node that has several opens with the first only.
    First,
    /// All, from the oldest: for our own stores, so that rotation survives a restart.
    All,
}

impl Secrets {
    fn of(self, node: &SwiftNode) -> &[Secret] {
        match self {
            Self::First => &node.secrets[..node.secrets.len().min(1)],
            Self::All => &node.secrets,
        }
    }
}

/// Writes a share answer: a compact array in the given order. It holds keys, so it is erased when
/// dropped.
pub fn write_list(nodes: &[&SwiftNode], secrets: Secrets) -> Zeroizing<String> {
    let mut writer = Writer::new(None, nodes.len());
    writer.sequence('[', ']', nodes.iter(), |writer, node| writer.node(node, secrets));
    writer.text
}

/// Writes a store file: an object by domain, sorted, indented by tabs, without a final newline. Of
/// two records of one domain the last is written.
pub fn write_store_file(nodes: &[&SwiftNode], secrets: Secrets) -> Zeroizing<String> {
    let by_domain: BTreeMap<&str, &SwiftNode> =
        nodes.iter().map(|node| (node.domain.as_str(), *node)).collect();
    let mut writer = Writer::new(Some(0), nodes.len());
    writer.sequence('{', '}', by_domain.into_iter(), |writer, (domain, node)| {
        writer.key(domain);
        writer.node(node, secrets);
    });
    writer.text
}

/// Most records are shorter; room for all of them avoids copies of keys left in freed memory.
const COMMON_NODE_BYTES: usize = 1 << 10;

/// Text and depth of indentation, `None` for compact.
struct Writer {
    text: Zeroizing<String>,
    depth: Option<usize>,
}

impl Writer {
    fn new(depth: Option<usize>, nodes: usize) -> Self {
        let text = Zeroizing::new(String::with_capacity((nodes + 1) * COMMON_NODE_BYTES));
        Self { text, depth }
    }

    fn sequence<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.text.push(open);
        let is_empty = items.len() == 0;
        self.depth = self.depth.map(|depth| depth + 1);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.line();
            write(self, item);
        }
        self.depth = self.depth.map(|depth| depth - 1);
        if !is_empty {
            self.line();
        }
        self.text.push(close);
    }

    fn line(&mut self) {
        if let Some(depth) = self.depth {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n('\t', depth));
        }
    }

    fn key(&mut self, key: &str) {
        self.string(key);
        self.text.push_str(if self.depth.is_some() { ": " } else { ":" });
    }

    fn node(&mut self, node: &SwiftNode, secrets: Secrets) {
        let scrambler = node.scrambler.as_ref().map(|key| key.to_text());
        let scrambler = scrambler.as_ref().map_or("", |text| text.as_str());
        let fields = [
            ("cookieDomain", Field::Text(&node.cookie_domain)),
            ("created", Field::Display(&node.created)),
            ("domain", Field::Text(node.domain.as_str())),
            ("expires", Field::Display(&node.expires)),
            ("network", Field::Text(&node.network)),
            ("role", Field::Number(node.role.number())),
            ("scrambler", Field::Text(scrambler)),
            ("secrets", Field::Secrets(secrets.of(node))),
            ("starts", Field::Display(&node.starts)),
        ];
        self.fields(&fields);
    }

    fn fields(&mut self, fields: &[(&str, Field<'_>)]) {
        self.sequence('{', '}', fields.iter(), |writer, (key, field)| {
            writer.key(key);
            match field {
                Field::Text(text) => writer.string(text),
                Field::Display(time) => writer.string(&time.to_string()),
                Field::Number(number) => {
                    let _ = write!(*writer.text, "{number}");
                }
                Field::Secrets(secrets) => {
                    writer.sequence('[', ']', secrets.iter(), |writer, secret| {
                        let key = secret.key.to_text();
                        let time = Field::Display(&secret.time_stamp);
                        writer.fields(&[("key", Field::Text(&key)), ("timeStamp", time)]);
                    });
                }
            }
        });
    }

    /// Go escapes what could end a script element, and the two line ends that JavaScript knows and
    /// JSON does not.
    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                    let _ = write!(*self.text, "\\u{:04x}", character as u32);
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }
}

enum Field<'a> {
    Text(&'a str),
    Display(&'a super::SwiftTime),
    Number(i64),
    Secrets(&'a [Secret]),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swift::{SwiftTime, json, samples};

    #[test]
    fn a_go_peer_is_sent_the_one_secret_that_the_owner_opens_with() {
        let secrets = [1, 2].map(|day| {
            samples::secret(day, SwiftTime::ZERO.plus_days(u32::from(day)).expect("early"))
        });
        let node = samples::changed("a.test", |fields| fields.secrets = secrets.to_vec());
        let read = |kind| json::read_list(write_list(&[&node], kind).as_bytes()).expect("a list");
        assert_eq!(read(Secrets::First).nodes[0].secrets, [secrets[0].clone()]);
        assert_eq!(read(Secrets::All).nodes[0].secrets, secrets);
        let none = samples::changed("a.test", |fields| fields.secrets.clear());
        assert!(write_list(&[&none], Secrets::First).contains("\"secrets\":[],"));
    }

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        let network = "a<b>&\"c\\d\u{2028}\u{2029}é/'";
        let node = samples::changed("a.test", |fields| fields.network = network.to_owned());
        let text = write_list(&[&node], Secrets::All);
        let escaped = "a\\u003cb\\u003e\\u0026\\\"c\\\\d\\u2028\\u2029é/'";
        assert!(text.contains(&format!("\"network\":\"{escaped}\"")), "{}", text.as_str());
        assert_eq!(json::read_list(text.as_bytes()).expect("a list").nodes, [node]);
    }

    #[test]
    fn empty_collections_are_written_as_go_writes_them() {
        assert_eq!(write_list(&[], Secrets::All).as_str(), "[]");
        assert_eq!(write_store_file(&[], Secrets::All).as_str(), "{}");
    }
}
