//! A child as the host sees it, from its preparation to its end.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use crate::frame::Request;

pub(crate) struct Child {
    pub(crate) process: libc::pid_t,
    pub(crate) socket: OwnedFd,
    pub(crate) last_words: OwnedFd,
    pub(crate) incoming: Vec<u8>,
    pub(crate) state: State,
}

pub(crate) enum State {
    Preparing {
        until: Instant,
    },
    Ready {
        base_cpu_us: u64,
    },
    Running(Running),
    /// Killed or dead, not yet reaped; the job that is still owed an answer.
    Ending(Option<(Running, End)>),
}

pub(crate) struct Running {
    pub(crate) request: Request,
    pub(crate) base_cpu_us: u64,
    pub(crate) started: Instant,
    pub(crate) until: Instant,
}

pub(crate) enum End {
    Deadline {
        wall: Duration,
    },
    /// It closed its socket or sent nonsense: how it died tells why.
    Itself {
        wall: Duration,
    },
}
