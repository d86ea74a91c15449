//! Dates of SWIFT records: RFC 3339 with nanoseconds, read as Go's `time.Parse` reads them.
//!
//! Invariant: a [`SwiftTime`] lies in the years 0000 to 9999 of UTC, so that it can always be
//! written. Offsets are normalised away. Go also reads fractions of more than nine digits since
//! 1.18 and cuts them; no node writes them, older Go refuses them, and so does this reader.

use std::{fmt, str::FromStr};

use wire::Millis;

/// The longest date that is read: `9999-12-31T23:59:59.999999999+23:59`.
pub const MAX_TIME_BYTES: usize = 35;

const DAY_SECONDS: i64 = 86_400;
/// 0000-01-01T00:00:00Z, the first moment that four digits of year can name.
const LEAST_SECONDS: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, the last.
const MOST_SECONDS: i64 = 253_402_300_799;

/// Why a text is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Its form is another.
    #[error("expected YYYY-MM-DDThh:mm:ss[.fraction] and Z or an offset")]
    Form,
    /// A part is out of its range, such as 30 February or hour 24.
    #[error("{0} out of range")]
    Range(&'static str),
}

/// A moment: seconds since 1970 in UTC, and nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwiftTime {
    seconds: i64,
    nanoseconds: u32,
}

impl SwiftTime {
    /// Go's zero time, 0001-01-01T00:00:00Z. As `starts` it means "already started".
    pub const ZERO: Self = Self { seconds: -62_135_596_800, nanoseconds: 0 };

    /// The moment of a clock in ms since 1970; a time after the year 9999 becomes its end.
    pub fn from_millis(now: Millis) -> Self {
        let seconds = i64::try_from(now.0 / 1_000).unwrap_or(i64::MAX);
        if seconds > MOST_SECONDS {
            return Self { seconds: MOST_SECONDS, nanoseconds: 999_999_999 };
        }
        Self { seconds, nanoseconds: (now.0 % 1_000) as u32 * 1_000_000 }
    }

    /// The same moment in ms since 1970, cut; a moment before 1970 becomes 1970.
    pub fn to_millis(self) -> Millis {
        let seconds = u64::try_from(self.seconds).ok();
        Millis(
            seconds.map_or(0, |seconds| seconds * 1_000 + u64::from(self.nanoseconds) / 1_000_000),
        )
    }

    /// This moment and whole days more; `None` after the year 9999.
    pub fn plus_days(self, days: u32) -> Option<Self> {
        Self::at(self.seconds + i64::from(days) * DAY_SECONDS, self.nanoseconds)
    }

    /// The same day of a later month, as Go's `AddDate` counts: 30 November and three months are
    /// 30 February, which is 2 March or 1 March.
    pub fn plus_months(self, months: u32) -> Option<Self> {
        let (year, month, day) = civil_of_days(self.seconds.div_euclid(DAY_SECONDS));
        let month = month - 1 + i64::from(months);
        let first = days_of_civil(year + month.div_euclid(12), month.rem_euclid(12) + 1, 1);
        let seconds = (first + day - 1) * DAY_SECONDS + self.seconds.rem_euclid(DAY_SECONDS);
        Self::at(seconds, self.nanoseconds)
    }

    /// Reads `YYYY-MM-DD` as midnight UTC: the form field `expires`.
    pub fn parse_date(text: &str) -> Result<Self, TimeError> {
        let mut rest = Reader(text.as_bytes());
        let days = rest.date()?;
        rest.end()?;
        Self::at(days * DAY_SECONDS, 0).ok_or(TimeError::Range("year"))
    }

    /// Reads `YYYY-MM-DDThh:mm` as UTC: the form field `starts`.
    pub fn parse_minute(text: &str) -> Result<Self, TimeError> {
        let mut rest = Reader(text.as_bytes());
        let days = rest.date()?;
        rest.byte(b'T')?;
        let minutes = rest.hour_and_minute()?;
        rest.end()?;
        Self::at(days * DAY_SECONDS + minutes * 60, 0).ok_or(TimeError::Range("year"))
    }

    fn at(seconds: i64, nanoseconds: u32) -> Option<Self> {
        (LEAST_SECONDS..=MOST_SECONDS).contains(&seconds).then_some(Self { seconds, nanoseconds })
    }
}

impl FromStr for SwiftTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        if text.len() > MAX_TIME_BYTES {
            return Err(TimeError::Form);
        }
        let mut rest = Reader(text.as_bytes());
        let days = rest.date()?;
        rest.byte(b'T')?;
        let minutes = rest.hour_and_minute()?;
        rest.byte(b':')?;
        let second = rest.within("second", 0..=59)?;
        let nanoseconds = rest.fraction()?;
        let offset_minutes = rest.offset_minutes()?;
        rest.end()?;
        let seconds = days * DAY_SECONDS + (minutes - offset_minutes) * 60 + second;
        Self::at(seconds, nanoseconds).ok_or(TimeError::Range("year in UTC"))
    }
}

/// What is left to read of a date.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self, expected: u8) -> Result<(), TimeError> {
        let (first, rest) = self.0.split_first().ok_or(TimeError::Form)?;
        self.0 = rest;
        (*first == expected).then_some(()).ok_or(TimeError::Form)
    }

    fn end(&self) -> Result<(), TimeError> {
        self.0.is_empty().then_some(()).ok_or(TimeError::Form)
    }

    fn digits(&mut self, count: usize) -> Result<i64, TimeError> {
        let (digits, rest) = self.0.split_at_checked(count).ok_or(TimeError::Form)?;
        self.0 = rest;
        digits.iter().try_fold(0, |sum, byte| match byte {
            b'0'..=b'9' => Ok(sum * 10 + i64::from(byte - b'0')),
            _ => Err(TimeError::Form),
        })
    }

    fn within(
        &mut self,
        what: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, TimeError> {
        let value = self.digits(2)?;
        range.contains(&value).then_some(value).ok_or(TimeError::Range(what))
    }

    /// Days since 1970.
    fn date(&mut self) -> Result<i64, TimeError> {
        let year = self.digits(4)?;
        self.byte(b'-')?;
        let month = self.within("month", 1..=12)?;
        self.byte(b'-')?;
        let day = self.within("day", 1..=31)?;
        let next = days_of_civil(year + month / 12, month % 12 + 1, 1);
        let length = next - days_of_civil(year, month, 1);
        (day <= length).then_some(()).ok_or(TimeError::Range("day"))?;
        Ok(days_of_civil(year, month, day))
    }

    /// Minutes since midnight. Go takes an hour of one digit, too.
    fn hour_and_minute(&mut self) -> Result<i64, TimeError> {
        let is_short = self.0.get(1).is_some_and(|byte| !byte.is_ascii_digit());
        let hour = self.digits(if is_short { 1 } else { 2 })?;
        (hour < 24).then_some(()).ok_or(TimeError::Range("hour"))?;
        self.byte(b':')?;
        Ok(hour * 60 + self.within("minute", 0..=59)?)
    }

    /// Nanoseconds; the mark may be a comma.
    fn fraction(&mut self) -> Result<u32, TimeError> {
        let Some((b'.' | b',', rest)) = self.0.split_first() else { return Ok(0) };
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return Err(TimeError::Form);
        }
        self.0 = rest;
        let value = self.digits(count)? * 10_i64.pow(9 - count as u32);
        Ok(u32::try_from(value).expect("nine digits at most"))
    }

    /// Minutes east of UTC. Go takes offsets of 24 hours and of 60 minutes, because some write them.
    fn offset_minutes(&mut self) -> Result<i64, TimeError> {
        let (first, rest) = self.0.split_first().ok_or(TimeError::Form)?;
        self.0 = rest;
        let sign = match first {
            b'Z' => return Ok(0),
            b'+' => 1,
            b'-' => -1,
            _ => return Err(TimeError::Form),
        };
        let hours = self.within("offset hour", 0..=24)?;
        self.byte(b':')?;
        Ok(sign * (hours * 60 + self.within("offset minute", 0..=60)?))
    }
}

/// Days since 1970 of a date of the Gregorian calendar, counted in years that begin in March, so
/// that the leap day is a year's last.
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_of_civil`].
fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for SwiftTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_of_days(self.seconds.div_euclid(DAY_SECONDS));
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanoseconds != 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for SwiftTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> SwiftTime {
        text.parse().expect("a date")
    }

    #[test]
    fn months_are_added_as_go_adds_them() {
        let later = |text: &str| time(text).plus_months(3).map(|later| later.to_string());
        assert_eq!(later("2026-11-21T06:26:46.5Z").as_deref(), Some("2027-02-21T06:26:46.5Z"));
        assert_eq!(later("2026-11-30T00:00:00Z").as_deref(), Some("2027-03-02T00:00:00Z"));
        assert_eq!(later("2023-11-30T00:00:00Z").as_deref(), Some("2024-03-01T00:00:00Z"));
        assert_eq!(later("9999-12-01T00:00:00Z"), None);
        assert_eq!(time("9999-12-31T00:00:00Z").plus_days(1), None);
    }

    #[test]
    fn a_date_that_utc_cannot_name_in_four_digits_is_refused() {
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(text.parse::<SwiftTime>(), Err(TimeError::Range("year in UTC")));
        }
    }

    #[test]
    fn forms_have_dates_of_their_own() {
        let date = SwiftTime::parse_date("2030-01-02").expect("a date");
        assert_eq!(date, time("2030-01-02T00:00:00Z"));
        let minute = SwiftTime::parse_minute("2030-01-02T03:04").expect("a minute");
        assert_eq!(minute, time("2030-01-02T03:04:00Z"));
        assert_eq!(SwiftTime::parse_date("2030-01-02T00:00"), Err(TimeError::Form));
        assert_eq!(SwiftTime::parse_minute("2030-01-02"), Err(TimeError::Form));
    }

    #[test]
    fn clocks_and_dates_agree() {
        assert_eq!(SwiftTime::from_millis(Millis(1_500)).to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(time("1970-01-01T00:00:01.5009Z").to_millis(), Millis(1_500));
        assert_eq!(SwiftTime::ZERO, time("0001-01-01T00:00:00Z"));
        assert_eq!(SwiftTime::ZERO.to_millis(), Millis(0));
        let last = SwiftTime::from_millis(Millis(u64::MAX));
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(last.to_string().parse(), Ok(last));
    }
}
