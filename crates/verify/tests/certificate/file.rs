//! The file: one rendering, and no byte of it can be changed.

use super::*;

/// The smallest certificate: one worker.
fn small() -> Vec<u8> {
    let world = World::new(1);
    let mut run = Run::new(&world, &request(1, 1), 1, 0);
    let opener = run.received.hash();
    let attempt = run.attempt(Attempt(0), opener, &all_say("3"));
    accepted(run.parts(Round(1), vec![attempt], &says("3"))).json().to_vec()
}

fn assert_every_change_is_refused(json: &[u8], step: usize) {
    // Any fixed sequence of bytes that has nothing to do with the file's.
    let mut state = 1_u32;
    for position in (0..json.len()).step_by(step) {
        let other = loop {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [value, ..] = state.to_be_bytes();
            if value != json[position] {
                break value;
            }
        };
        for value in [json[position] ^ 1, json[position] ^ 0x20, other] {
            let mut changed = json.to_vec();
            changed[position] = value;
            let read = Certificate::from_json(&changed);
            assert!(read.is_err(), "byte {position} as {value:#x} is accepted");
        }
    }
}

#[test]
fn every_changed_byte_is_refused() {
    assert_every_change_is_refused(&small(), 1);
}

#[test]
fn changed_bytes_of_a_long_certificate_are_refused() {
    let world = World::new(5);
    let (run, attempts) = three_attempts(&world);
    let certificate = accepted(run.parts(Round(1), attempts, &says("3")));
    assert_every_change_is_refused(certificate.json(), 97);
}

#[test]
fn a_part_of_it_or_more_than_it_is_refused() {
    let json = small();
    for length in (0..json.len()).step_by(7).chain([json.len() - 1]) {
        assert!(Certificate::from_json(&json[..length]).is_err(), "{length} bytes");
    }
    for more in [" ", "\n", "{}", "\0", "x"] {
        let longer = [&json, more.as_bytes()].concat();
        assert!(Certificate::from_json(&longer).is_err(), "{more:?}");
        let longer = [more.as_bytes(), &json].concat();
        assert!(Certificate::from_json(&longer).is_err(), "{more:?}");
    }
    let too_long = vec![b' '; MAX_CERTIFICATE_BYTES + 1];
    let error = Certificate::from_json(&too_long).expect_err("too long");
    assert!(matches!(error, CertificateError::Format(FormatError::TooLong(_))));
}

#[test]
fn there_is_one_rendering() {
    let json = String::from_utf8(small()).expect("UTF-8");
    let same = |text: String| {
        assert_ne!(text, json);
        Certificate::from_json(text.as_bytes()).expect_err("another rendering")
    };
    let not_canonical = |text: String| {
        let error = same(text);
        assert!(matches!(error, CertificateError::NotCanonical { .. }), "{error}");
    };
    let malformed = |text: String| {
        let error = same(text);
        assert!(matches!(error, CertificateError::Format(FormatError::Json(_))), "{error}");
    };
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    not_canonical(serde_json::to_string(&value).expect("JSON"));
    // Sorted keys are not the rendering's order.
    not_canonical(serde_json::to_string_pretty(&value).expect("JSON") + "\n");
    not_canonical(json.replace("  \"genesis\"", "   \"genesis\""));
    not_canonical(json.replace('\n', "\r\n"));
    not_canonical(json.replace("\"quorum\": 1", "\"quorum\": 2"));
    not_canonical(json.replace("\"quorum\": 1", "\"quorum\": 1, \"quorum\": 1"));
    not_canonical(json.replace("\"quorum\": 1", "\"quorum\": 1, \"more\": 1"));
    not_canonical(json.replace("\"format\": \"quorate", "\"format\": \"\\u0071uorate"));
    not_canonical(json.replace("  \"received\"", "  \"code\": null,\n  \"received\""));
    malformed(json.replace("  \"received\"", "  \"more\": 1,\n  \"received\""));
    malformed(json.replace("      \"draw\"", "      \"more\": 1,\n  \"draw\""));
    let format = "  \"format\": \"quorate/certificate/v1\",\n";
    malformed(json.replace(format, &format.repeat(2)));
    malformed(json.replace(format, ""));
    malformed(json.replace("quorate/certificate/v1\"", "quorate/certificate/v1\", \"summary\": 1"));
    let error = same(json.replace("certificate/v1", "certificate/v2"));
    assert!(matches!(error, CertificateError::Format(FormatError::Format(_))), "{error}");
    // The same bytes in base64 with other unused bits or without padding.
    for (padded, other) in [("=\"", "\""), ("=\"", "==\"")] {
        assert!(json.contains(padded));
        let error = same(json.replacen(padded, other, 1));
        assert!(matches!(error, CertificateError::Format(_)), "{error}");
    }
}
