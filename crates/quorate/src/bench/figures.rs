//! Medians, percentiles, and the machine that they were measured on.

use std::fs;

use serde::Serialize;

/// What a series of measurements comes to, in the unit of its values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// How many there are.
    pub count: usize,
    /// Half of them are at most this.
    pub median: f64,
    /// All but one in a hundred are at most this.
    pub p99: f64,
}

impl Figures {
    /// The figures of some values; `None` without any.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied()
        };
        Some(Self { count: values.len(), median: at(50)?, p99: at(99)? })
    }
}

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// How many processes wanted to run, over the last 1, 5 and 15 minutes.
    pub load: String,
    /// Whether this program was built for speed.
    pub optimised: bool,
}

impl Machine {
    /// The machine as it is now.
    pub fn now() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let processor =
            model.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim());
        let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
        Self {
            processor: processor.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load,
            optimised: !cfg!(debug_assertions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred = Figures::of((1..=100).rev().map(f64::from).collect()).expect("some");
        assert_eq!((hundred.count, hundred.median, hundred.p99), (100, 50.0, 99.0));
        let one = Figures::of(vec![7.0]).expect("one");
        assert_eq!((one.median, one.p99), (7.0, 7.0));
        assert_eq!(Figures::of(Vec::new()), None);
    }
}
