//! Parameters, durations, what to run: as people write them on a command line.

use std::{fs, path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result, bail, ensure};
use api::Json;
use serde_json::Value;
use wire::{CodeHash, compute::MAX_CODE_BYTES, json::CanonicalJson};

use crate::exit::{Exit, OrExit as _};

/// The longest file with parameters that is read, in bytes: their canonical limit, with the white
/// space that people write.
const MAX_PARAMS_FILE_BYTES: u64 = 1024 * 1024;

/// A number of milliseconds, written with its unit: `500ms`, `10s`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationMs(pub u64);

impl FromStr for DurationMs {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let error =
            || format!("expected a whole number with ms, s or m, such as 10s; got {text:?}");
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| error())?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return Err(error()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(error)
    }
}

/// One parameter: `name=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    name: String,
    value: Value,
}

impl FromStr for Param {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = pair(text)?;
        Ok(Self { name, value: json_or_text(&value)? })
    }
}

/// Splits `name=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, got {text:?}")),
    }
}

/// What is JSON is taken as JSON, all else as a string.
fn json_or_text(text: &str) -> Result<Value, String> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Ok(Value::String(text.to_owned()));
    }
    let canonical = CanonicalJson::from_text(text).map_err(|error| error.to_string())?;
    Ok(canonical.to_value())
}

/// One setting: `name=number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its new value.
    pub value: u64,
}

impl FromStr for Setting {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = pair(text)?;
        let value = value.parse();
        let value = value.map_err(|_| format!("expected NAME=NUMBER, got {text:?}"))?;
        Ok(Self { name, value })
    }
}

/// A key of a node's configuration, as a line of TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigLine(pub String);

impl ConfigLine {
    /// A key with a text.
    pub fn text(key: &str, value: &str) -> Self {
        Self(format!("{key} = {}", toml::Value::String(value.to_owned())))
    }
}

impl FromStr for ConfigLine {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = pair(text)?;
        Ok(match value.parse::<i64>() {
            Ok(number) => Self(format!("{key} = {number}")),
            Err(_) if matches!(value.as_str(), "true" | "false") => {
                Self(format!("{key} = {value}"))
            }
            Err(_) => Self::text(&key, &value),
        })
    }
}

/// What `--params` and `--param` give together; `None` if neither is there.
pub fn params(whole: Option<&str>, single: &[Param]) -> Result<Option<Json>> {
    combined(whole, single).or_exit(Exit::BadInput)
}

fn combined(whole: Option<&str>, single: &[Param]) -> Result<Option<Json>> {
    let text = match whole {
        Some(text) => match text.strip_prefix('@') {
            Some(path) => Some(read_text(&PathBuf::from(path), MAX_PARAMS_FILE_BYTES)?),
            None => Some(text.to_owned()),
        },
        None => None,
    };
    let canonical = text.map(|text| CanonicalJson::from_text(&text).context("--params: not JSON"));
    let canonical = canonical.transpose()?;
    if single.is_empty() {
        return Ok(canonical.map(Json));
    }
    let mut value =
        canonical.map_or_else(|| Value::Object(serde_json::Map::new()), |known| known.to_value());
    let Value::Object(fields) = &mut value else {
        bail!("--param: needs --params to be an object");
    };
    for (index, Param { name, value }) in single.iter().enumerate() {
        let twice = single[..index].iter().any(|earlier| earlier.name == *name);
        ensure!(!twice, "--param: {name} stands twice");
        fields.insert(name.clone(), value.clone());
    }
    let canonical = CanonicalJson::from_value(&value).context("the parameters are not I-JSON")?;
    Ok(Some(Json(canonical)))
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A script of the relay's store.
    Stored(CodeHash),
    /// A script at an address.
    Url(String),
    /// A script on this machine.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(hash) => Self::Stored(hash),
            Err(_) if text.contains("://") => Self::Url(text.to_owned()),
            Err(_) => Self::File(PathBuf::from(text)),
        })
    }
}

/// Reads a script: UTF-8 text within the limit.
pub fn read_script(path: &PathBuf) -> Result<String> {
    let script = read_text(path, MAX_CODE_BYTES as u64).or_exit(Exit::BadInput)?;
    let empty = || anyhow::anyhow!("{}: a script has at least one byte", path.display());
    (!script.is_empty()).then_some(script).ok_or_else(empty).or_exit(Exit::BadInput)
}

fn read_text(path: &PathBuf, limit: u64) -> Result<String> {
    String::from_utf8(read_file(path, limit)?).map_err(|error| {
        anyhow::anyhow!("{}: not UTF-8 text: {}", path.display(), error.utf8_error())
    })
}

/// Reads a file of at most `limit` bytes.
pub fn read_file(path: &PathBuf, limit: u64) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    // One byte more shows that there is more.
    let read = fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut content));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let fits = content.len() as u64 <= limit;
    ensure!(fits, "{}: too large: at most {limit} bytes", path.display());
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_have_a_unit() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(DurationMs(ms)));
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "1h",
            "99999999999999999999ms",
            "999999999999999999m",
        ] {
            assert!(text.parse::<DurationMs>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_parameter_is_json_if_it_is_json() {
        let value = |text: &str| text.parse::<Param>().expect(text).value;
        assert_eq!(value("a=5"), json!(5));
        assert_eq!(value("a=\"5\""), json!("5"));
        assert_eq!(value("a=five"), json!("five"));
        assert_eq!(value("a="), json!(""));
        assert_eq!(value("a=b=c"), json!("b=c"));
        assert_eq!(value("a=[1,{}]"), json!([1, {}]));
        assert_eq!(value("a=null"), json!(null));
        for text in ["a", "", "=5", "a={\"x\":1,\"x\":2}"] {
            assert!(text.parse::<Param>().is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_are_put_together() {
        let made = |whole: Option<&str>, single: &[&str]| {
            let single: Vec<Param> = single.iter().map(|text| text.parse().expect(text)).collect();
            params(whole, &single).map(|json| json.map(|json| json.0.as_str().to_owned()))
        };
        assert_eq!(made(None, &[]).expect("none"), None);
        assert_eq!(made(Some("null"), &[]).expect("null").as_deref(), Some("null"));
        let both = made(Some("{\"b\": 1, \"a\": 1}"), &["a=2"]).expect("both");
        assert_eq!(both.as_deref(), Some("{\"a\":2,\"b\":1}"));
        for (whole, single) in [
            (Some("[]"), vec!["a=1"]),
            (Some("{"), vec![]),
            (None, vec!["a=1", "a=2"]),
            (Some("@/nonexistent"), vec![]),
        ] {
            let error = made(whole, &single).expect_err("not acceptable");
            assert_eq!(Exit::of(&error), Exit::BadInput);
        }
    }

    #[test]
    fn a_source_is_a_hash_an_address_or_a_file() {
        let hash = "ab".repeat(32);
        assert_eq!(hash.parse(), Ok(Source::Stored(CodeHash([0xab; 32]))));
        assert_eq!("https://a/b.js".parse(), Ok(Source::Url("https://a/b.js".to_owned())));
        assert_eq!("a/b.js".parse(), Ok(Source::File("a/b.js".into())));
    }

    #[test]
    fn configuration_lines_are_toml() {
        for (given, line) in
            [("a=1", "a = 1"), ("a=true", "a = true"), ("a=/x \"y\"", "a = '/x \"y\"'")]
        {
            let ConfigLine(made) = given.parse().expect(given);
            assert_eq!(made, line);
            assert!(made.parse::<toml::Table>().is_ok());
        }
    }
}
