//! What the kernel refuses to a child.
//!
//! Invariant: once [`Jail::lock`] returns, no thread of this process can open a file, make a socket, start a thread, a process or
//! a program, or signal anyone; it can compute, use the descriptors it has, and end. The process dies (SIGSYS) on a system call
//! that V8 does not need, and gets EPERM for the few which V8 tries and can do without.
//!
//! Three layers, each of which would do alone against its part: limits (rlimits), landlock (no files, no TCP; where the kernel has
//! it), seccomp (always; a child without it refuses to work). Landlock binds the calling thread and its later children only, so it
//! comes before the isolate's thread; seccomp binds all threads at once (TSYNC), so it comes after V8 has started up.

use crate::unix;
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// Descriptors a child may have while it starts: three of its own, and one or two which V8 opens and closes.
const DESCRIPTORS: u64 = 8;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// Memory, locks, the two descriptors, time for V8's own use (scripts do not see it), and the end.
const NEEDED: &[libc::c_long] = &[
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_pkey_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_ppoll,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getcpu,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// V8 or the C library try these and have another way; a few (scheduling) were seen once in a thousand jobs, so their whole
/// families are here. `tgkill` is abort(): it then dies by another signal.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_ioctl,
    libc::SYS_readlinkat,
    libc::SYS_statx,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_setaffinity,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_set_robust_list,
    libc::SYS_lseek,
    libc::SYS_faccessat,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_tgkill,
    libc::SYS_prlimit64,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

/// V8 names its memory regions with this option of prctl. Every other one is refused, but for PR_SET_NO_NEW_PRIVS, which takes
/// nothing but rights away and precedes each filter.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Why a child cannot be jailed.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error("a seccomp filter cannot be built")]
    Build(#[from] seccompiler::BackendError),
    #[error("a seccomp filter cannot be installed")]
    Install(#[from] seccompiler::Error),
    #[error("a process limit cannot be set")]
    Limit(#[from] std::io::Error),
}

/// The compiled filters. The host compiles them once; every child installs them.
pub struct Jail {
    refuse: BpfProgram,
    kill: BpfProgram,
}

impl Jail {
    /// Compiles the filters.
    pub fn compile() -> Result<Self, JailError> {
        let neither =
            |option| SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, option);
        let other_prctl = SeccompRule::new(vec![
            neither(PR_SET_VMA)?,
            neither(libc::PR_SET_NO_NEW_PRIVS as u64)?,
        ])?;
        let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
            REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        refused.insert(libc::SYS_prctl, vec![other_prctl]);
        let mut known: BTreeMap<i64, Vec<SeccompRule>> =
            NEEDED.iter().chain(REFUSED).map(|call| (*call, Vec::new())).collect();
        known.insert(libc::SYS_prctl, Vec::new());
        let refuse = SeccompFilter::new(
            refused,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM as u32),
            ARCHITECTURE,
        )?;
        let kill = SeccompFilter::new(
            known,
            SeccompAction::KillProcess,
            SeccompAction::Allow,
            ARCHITECTURE,
        )?;
        Ok(Self { refuse: refuse.try_into()?, kill: kill.try_into()? })
    }

    /// Second step, after V8 has started in this process: all threads, at once, for ever. The refusing filter goes first, because
    /// installing a filter is itself a call that the killing one does not know.
    pub fn lock(&self) -> Result<(), JailError> {
        unix::limit(libc::RLIMIT_NOFILE, 0)?;
        seccompiler::apply_filter_all_threads(&self.refuse)?;
        seccompiler::apply_filter_all_threads(&self.kill)?;
        Ok(())
    }
}

/// First step, before V8 starts a thread in this process: limits, and landlock where the kernel has it. Tells whether landlock
/// is enforced.
pub fn confine() -> Result<bool, JailError> {
    unix::limit(libc::RLIMIT_CORE, 0)?;
    unix::limit(libc::RLIMIT_FSIZE, 0)?;
    unix::limit(libc::RLIMIT_NOFILE, DESCRIPTORS)?;
    unix::set_undumpable()?;
    unix::set_no_new_privileges()?;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(ABI::V5)))
        .and_then(|ruleset| ruleset.create())
        .and_then(|ruleset| ruleset.restrict_self());
    Ok(matches!(status, Ok(status) if status.ruleset != RulesetStatus::NotEnforced))
}
