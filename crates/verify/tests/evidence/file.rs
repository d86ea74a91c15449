//! The file: one rendering, and no byte of it can be changed.

use super::*;

fn assert_every_change_is_refused(json: &[u8], step: usize) {
    let mut state = 1_u32;
    for position in (0..json.len()).step_by(step) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [random, ..] = state.to_be_bytes();
        for value in [json[position] ^ 1, json[position] ^ 0x20, random] {
            let mut changed = json.to_vec();
            changed[position] = value;
            let read = Evidence::from_json(&changed);
            assert!(changed == json || read.is_err(), "byte {position} as {value:#x} is accepted");
        }
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let world = World::new(2);
    for (accused, rule, statements) in guilty(&world) {
        let json = convicted(&world, accused, rule, statements).to_json();
        assert_every_change_is_refused(&json, 1);
    }
}

#[test]
fn a_part_of_it_or_more_than_it_is_refused() {
    let world = World::new(2);
    for (accused, rule, statements) in guilty(&world) {
        let json = convicted(&world, accused, rule, statements).to_json();
        for length in (0..json.len()).step_by(11).chain([json.len() - 1]) {
            assert!(Evidence::from_json(&json[..length]).is_err(), "{length} bytes");
        }
        for more in [" ", "\n", "{}", "\0"] {
            assert!(Evidence::from_json(&[&json, more.as_bytes()].concat()).is_err(), "{more:?}");
            assert!(Evidence::from_json(&[more.as_bytes(), &json].concat()).is_err(), "{more:?}");
        }
    }
    let error = Evidence::from_json(&vec![b' '; MAX_EVIDENCE_BYTES + 1]).expect_err("too long");
    assert!(matches!(error, EvidenceError::TooLong(_)), "{error}");
}

#[test]
fn there_is_one_rendering() {
    let world = World::new(2);
    let (accused, rule, statements) = guilty(&world).swap_remove(0);
    let evidence = convicted(&world, accused, rule, statements);
    let json = String::from_utf8(evidence.to_json()).expect("UTF-8");
    let changed = |from: &str, to: &str| {
        let text = json.replacen(from, to, 1);
        assert_ne!(text, json, "{from:?} stands in it");
        Evidence::from_json(text.as_bytes()).expect_err("another rendering")
    };
    let other_name = changed("\"name\": \"worker-", "\"name\": \"relay-");
    assert!(matches!(other_name, EvidenceError::NotCanonical), "{other_name}");
    let other_words = changed("signed two commit statements", "signed 2 commit statements");
    assert!(matches!(other_words, EvidenceError::NotCanonical), "{other_words}");
    let spaced = changed("\"rule\": ", "\"rule\":  ");
    assert!(matches!(spaced, EvidenceError::NotCanonical), "{spaced}");
    let twice = changed("  \"genesis\"", "  \"rule\": \"two_statements\",\n  \"genesis\"");
    assert!(matches!(twice, EvidenceError::Json(_)), "{twice}");
    let unknown = changed("  \"genesis\"", "  \"more\": 1,\n  \"genesis\"");
    assert!(matches!(unknown, EvidenceError::Json(_)), "{unknown}");
    let format = changed("evidence/v1", "evidence/v2");
    assert!(matches!(format, EvidenceError::Format(_)), "{format}");
    let padding = changed("=\"", "\"");
    assert!(matches!(padding, EvidenceError::Base64(_)), "{padding}");
    let text = json.replace("\"rule\": \"two_statements\"", "\"rule\": \"false_reveal\"");
    assert!(Evidence::from_json(text.as_bytes()).is_err());
}
