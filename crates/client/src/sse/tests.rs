//! The examples of the specification, and the property that chunks do not matter.

use proptest::prelude::*;

use super::*;

fn parse_chunks<'a>(
    limit: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<SseEvent, SseError>> {
    let mut parser = Parser::with_limit(limit);
    let mut events = Vec::new();
    for chunk in chunks {
        parser.push(chunk);
        while let Some(event) = parser.next_event() {
            let is_last = event.is_err();
            events.push(event);
            if is_last {
                return events;
            }
        }
    }
    events
}

fn parse(text: &str) -> Vec<(String, String, String)> {
    let events = parse_chunks(1_000, [text.as_bytes()]);
    events
        .into_iter()
        .map(|event| event.expect("within the limit"))
        .map(|event| (event.name, event.data, event.id))
        .collect()
}

fn event(name: &str, data: &str, id: &str) -> (String, String, String) {
    (name.to_owned(), data.to_owned(), id.to_owned())
}

#[test]
fn the_specifications_examples() {
    assert_eq!(parse("data: YHOO\ndata: +2\ndata: 10\n\n"), [event("message", "YHOO\n+2\n10", "")]);
    let text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let expected = [
        event("message", "first event", "1"),
        event("message", "second event", ""),
        event("message", " third event", ""),
    ];
    assert_eq!(parse(text), expected);
    assert_eq!(
        parse("data\n\ndata\ndata\n\ndata:"),
        [event("message", "", ""), event("message", "\n", "")]
    );
    assert_eq!(parse("data:test\n\ndata: test\n\n"), vec![event("message", "test", ""); 2]);
    assert_eq!(
        parse("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"),
        [event("add", "73857293", ""), event("remove", "2153", "")]
    );
}

#[test]
fn all_line_endings_and_a_byte_order_mark() {
    let expected = [event("e", "a\nb", "7"), event("message", "c", "7")];
    for ending in ["\n", "\r", "\r\n"] {
        let text = "\u{feff}event: e\nid: 7\ndata: a\ndata: b\n\ndata: c\n\n".replace('\n', ending);
        assert_eq!(parse(&text), expected, "{ending:?}");
    }
    assert_eq!(parse("data: a\n\n\u{feff}data: b\n\n"), [event("message", "a", "")]);
}

#[test]
fn an_id_without_data_counts_and_an_unfinished_event_does_not() {
    assert_eq!(parse("id: 4\n\nevent: x\n\ndata: a\n\ndata: b\n"), [event("message", "a", "4")]);
    assert_eq!(parse("id: a\0b\ndata: x\n\n"), [event("message", "x", "")]);
}

#[test]
fn retry_is_a_number_or_ignored() {
    let mut parser = Parser::default();
    parser.push(b"retry: 1500\nretry: 2x\nretry:\nretry: -1\n");
    assert_eq!(parser.retry_ms(), Some(1_500));
}

#[test]
fn a_long_line_or_event_is_refused_behind_the_events_before_it() {
    let too_long = Err(SseError::TooLong { limit: 12 });
    for text in
        ["data: a\n\ndata: 1234567", "data: a\n\ndata:1234\ndata:5678\ndata:90\n\ndata: b\n\n"]
    {
        let events = parse_chunks(12, [text.as_bytes()]);
        assert_eq!(events.len(), 2, "{text}: {events:?}");
        assert_eq!(events[1], too_long);
    }
}

/// Bytes that are likely to meet every rule of the format.
fn stream_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"data"[..],
            b"event",
            b"id",
            b"retry",
            b":",
            b" ",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"data: x\n",
            b"id: 12\n",
            b"event: e\r\n",
            b": comment\n",
            b"\xef\xbb\xbf",
            b"\0",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(
        bytes in stream_bytes(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        limit in 8_usize..64,
    ) {
        let whole = parse_chunks(limit, [&bytes[..]]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(&parse_chunks(limit, chunks), &whole);
        prop_assert_eq!(&parse_chunks(limit, bytes.chunks(1)), &whole);
    }

    #[test]
    fn what_a_server_writes_is_what_is_read(
        written in prop::collection::vec(("[a-z_]{1,8}", "[^\r\0]{0,40}", 0_u64..1_000), 0..8),
    ) {
        let mut text = String::new();
        for (name, data, id) in &written {
            text.push_str(&format!("id: {id}\nevent: {name}\n"));
            for line in data.split('\n') {
                text.push_str(&format!("data: {line}\n"));
            }
            text.push('\n');
        }
        let expected: Vec<_> = written.iter().map(|(name, data, id)| event(name, data, &id.to_string())).collect();
        prop_assert_eq!(parse(&text), expected);
    }
}
