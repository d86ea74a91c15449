//! What is told while a request runs: a line per event, and a spinner on a terminal.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use api::RequestEvent;
use indicatif::ProgressBar;

use crate::output::{excerpt, plain, talk};

/// The longest value that a line shows, in characters.
const VALUE_CHARS: usize = 80;

/// Tells what happens.
pub struct Progress {
    spinner: Option<ProgressBar>,
    tells: bool,
}

impl Progress {
    /// Tells each event; on a terminal also that something is under way. When `quiet`, nothing.
    pub fn new(quiet: bool) -> Self {
        let spinner = (!quiet && io::stderr().is_terminal()).then(|| {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Self { spinner, tells: !quiet }
    }

    /// Tells an event.
    pub fn event(&self, event: &RequestEvent) {
        let Some(line) = described(event) else { return };
        self.line(&line);
        if let (Some(spinner), Some(next)) = (&self.spinner, expected(event)) {
            spinner.set_message(next);
        }
    }

    /// Tells a line.
    pub fn line(&self, line: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(plain(line)),
            None if self.tells => talk(line),
            None => {}
        }
    }

    /// Says what is under way.
    pub fn doing(&self, what: &'static str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// An event in words; `None` for what nobody needs to know.
fn described(event: &RequestEvent) -> Option<String> {
    Some(match event {
        RequestEvent::Received { request, committee, quorum, .. } => {
            format!("received {}: committee {committee}, quorum {quorum}", request.short())
        }
        RequestEvent::RoundOpened { round, population, .. } => {
            format!("round {round} draws from {population} worker(s)")
        }
        RequestEvent::Drawn { worker, drawn: true, .. } => format!("{} is drawn", worker.name),
        RequestEvent::Drawn { .. } => return None,
        RequestEvent::Committed { worker, .. } => format!("{} commits to a result", worker.name),
        RequestEvent::Tallied { drawn, committed, .. } => {
            format!("commits are closed: {committed} of {drawn} drawn")
        }
        RequestEvent::Revealed { worker, value, fault, .. } => {
            let what = match (value, fault) {
                (_, Some(fault)) => format!("a fault ({})", fault.kind),
                (Some(value), None) => excerpt(&value.to_string(), VALUE_CHARS),
                (None, None) => "nothing".to_owned(),
            };
            format!("{} reveals {what}", worker.name)
        }
        RequestEvent::Widened { attempt, reason } => {
            format!("a wider draw follows (number {}): {reason}", attempt.0 + 1)
        }
        RequestEvent::Agreed { agreeing, dissenting, silent, .. } => {
            let (agree, dissent) = (agreeing.len(), dissenting.len());
            format!("agreed: {agree} agree, {dissent} dissent, {} silent", silent.len())
        }
        RequestEvent::Failed { reason, detail } => {
            format!("failed ({}): {detail}", reason.as_str())
        }
    })
}

/// What comes after an event.
fn expected(event: &RequestEvent) -> Option<&'static str> {
    Some(match event {
        RequestEvent::Received { .. } | RequestEvent::Widened { .. } => {
            "waiting for the next round"
        }
        RequestEvent::RoundOpened { .. } | RequestEvent::Drawn { .. } => "drawing",
        RequestEvent::Committed { .. } => "the workers run the script",
        RequestEvent::Tallied { .. } | RequestEvent::Revealed { .. } => "collecting results",
        RequestEvent::Agreed { .. } | RequestEvent::Failed { .. } => return None,
    })
}
