//! Why a child died that nobody killed, told from what the operating system and V8's last words say.

use crate::{
    job::{Fault, FaultKind},
    unix::Ended,
};

/// Why a child died that nobody killed. Signals alone do not tell: V8 ends itself by a trap when memory is refused, and also when
/// it finds itself broken. What it says before tells them apart; a peak near the limit does where it had no memory left to speak.
pub(crate) fn post_mortem(ended: &Ended, last_words: &str, memory_mib: u32) -> Fault {
    let spoke_of_memory = ["out of memory", "bad_alloc", "OOM", "allocation failed"]
        .iter()
        .any(|words| last_words.contains(words));
    let near_limit = ended.peak_bytes >= u64::from(memory_mib) << 20;
    match ended.signal {
        _ if spoke_of_memory => Fault::memory_limit(memory_mib),
        // The kernel's own killer: the host's SIGKILL comes only after the socket closed, when the cause of death is set.
        Some(libc::SIGKILL) => Fault::memory_limit(memory_mib),
        Some(libc::SIGTRAP | libc::SIGABRT | libc::SIGILL | libc::SIGSEGV | libc::SIGBUS)
            if near_limit =>
        {
            Fault::memory_limit(memory_mib)
        }
        Some(libc::SIGSYS) => {
            Fault::new(FaultKind::Crashed, "the script's process tried what the jail forbids")
        }
        _ => Fault::new(FaultKind::Crashed, "the script's process died"),
    }
}
