//! What a node counts, in the Prometheus text format.
//!
//! Counters are derived from what rooms did, here in the shell; rooms count nothing.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

/// Defines the counters: field, name, help.
macro_rules! metrics {
    ($($field:ident: $kind:literal $name:literal, $help:literal;)+) => {
        /// A node's counters and gauges.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: AtomicU64,)+
        }

        impl Metrics {
            /// Every metric: name, kind, help.
            pub const ALL: &'static [(&'static str, &'static str, &'static str)] =
                &[$(($name, $kind, $help),)+];

            /// The text that Prometheus reads.
            pub fn render(&self) -> String {
                let mut text = String::new();
                $(
                    let value = self.$field.load(Ordering::Relaxed);
                    let (name, kind, help) = ($name, $kind, $help);
                    write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
                        .expect("writing to memory cannot fail");
                )+
                text
            }
        }
    };
}

metrics! {
    requests_received: "counter" "quorate_requests_received_total", "Compute requests taken in by this relay.";
    requests_agreed: "counter" "quorate_requests_agreed_total", "Compute requests that ended in an agreement.";
    requests_failed: "counter" "quorate_requests_failed_total", "Compute requests that ended without one.";
    requests_open: "gauge" "quorate_requests_open", "Compute requests that have not ended.";
    dissents: "counter" "quorate_dissents_total", "Reveals that said otherwise than the agreement.";
    conflicts: "counter" "quorate_conflicts_total", "Statements that contradicted an earlier one of the same worker.";
    draws_answered: "counter" "quorate_draws_answered_total", "Draws that this worker answered.";
    jobs_run: "counter" "quorate_jobs_run_total", "Scripts that this worker ran.";
    jobs_faulted: "counter" "quorate_jobs_faulted_total", "Scripts that gave no value on this worker.";
}

impl Metrics {
    /// Counts one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered_once() {
        let metrics = Metrics::default();
        Metrics::count(&metrics.jobs_run);
        let text = metrics.render();
        for (name, kind, _) in Metrics::ALL {
            assert_eq!(text.matches(&format!("# TYPE {name} {kind}\n")).count(), 1, "{name}");
        }
        assert!(text.contains("\nquorate_jobs_run_total 1\n"));
    }
}
