//! The kernel calls which the standard library lacks, each behind a safe function.
//!
//! Invariant: every function here is sound for every argument; those that only make sense in a process with one thread say so
//! and are called before V8 starts one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The two sides of a fork.
pub enum Fork {
    Parent { child: libc::pid_t },
    Child,
}

/// Forks. Refused when this process has more than one thread: a lock held by another thread would stay held in the child.
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("the host has more than one thread"));
    }
    // SAFETY: there is one thread, so the child's memory is consistent.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent { child }),
    }
}

/// Ends this process without running anything else.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always sound; does not return.
    unsafe { libc::_exit(code) }
}

/// Asks the kernel to kill this process when its parent ends, and ends it now if that has happened already.
pub fn die_with_parent(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) })?;
    // SAFETY: no arguments.
    if unsafe { libc::getppid() } != parent {
        exit_now(1);
    }
    Ok(())
}

/// No core dump, no ptrace, and /proc/self belongs to root.
pub fn set_undumpable() -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// No set-user-id programs from here on; unprivileged seccomp and landlock require it.
pub fn set_no_new_privileges() -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Sets a limit of this process, for good.
pub fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` is a valid structure, only read.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)
}

/// Sets the data limit of another process of ours.
pub fn limit_data_of(process: libc::pid_t, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` is a valid structure, only read; the old limit is not asked for.
    check(unsafe {
        libc::prlimit(process, libc::RLIMIT_DATA, &raw const limit, std::ptr::null_mut())
    })
    .map(drop)
}

/// The bytes of a process which RLIMIT_DATA counts (private writable memory), from /proc.
pub fn data_bytes_of(process: libc::pid_t) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages: u64 = text
        .split_ascii_whitespace()
        .nth(5)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("/proc/<pid>/statm has another form"))?;
    // SAFETY: no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Ok(pages * u64::try_from(page).unwrap_or(4096))
}

/// Kills a process. One that is gone is as good as killed.
pub fn kill(process: libc::pid_t) {
    // SAFETY: no pointers. The callers hold an unreaped child, so the number is not reused.
    unsafe { libc::kill(process, libc::SIGKILL) };
}

/// A child that ended.
pub struct Ended {
    pub process: libc::pid_t,
    /// The signal that killed it.
    pub signal: Option<i32>,
    pub cpu_us: u64,
    pub peak_bytes: u64,
}

/// The next child that has ended, if there is one.
pub fn reap() -> Option<Ended> {
    let mut status = 0;
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live, writable values.
    let process = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
    if process <= 0 {
        return None;
    }
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    Some(Ended {
        process,
        signal,
        cpu_us: cpu_us(&usage),
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    })
}

/// Waits until every child has ended.
pub fn reap_all() {
    // SAFETY: a null status is allowed.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
}

/// Processor time of this process.
pub fn own_cpu_us() -> u64 {
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, writable value.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    cpu_us(&usage)
}

fn cpu_us(usage: &libc::rusage) -> u64 {
    let microseconds = |time: &libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime)
}

/// A descriptor that becomes readable when a child ends. Blocks SIGCHLD for this process and its children.
pub fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before use; the descriptor is new and ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        let descriptor =
            check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// A pipe: the reading end, the writing end; neither blocks.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for both; the descriptors are new and ours.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Takes standard input, which the parent made a socket.
pub fn take_standard_input() -> io::Result<OwnedFd> {
    // SAFETY: the duplicate is new and ours. Descriptor 0 itself stays open.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3))?)) }
}

/// Makes `job` descriptor 0 and `errors` descriptors 1 and 2, and closes every other one. The caller must not use any other
/// descriptor afterwards: a forked child, which then runs only its own code.
pub fn keep_only(job: RawFd, errors: RawFd) -> io::Result<()> {
    // SAFETY: no pointers. Owners of the closed descriptors never run their destructors: the child ends through `exit_now`.
    unsafe {
        check(libc::dup2(job, 0))?;
        check(libc::dup2(errors, 1))?;
        check(libc::dup2(errors, 2))?;
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) != 0 {
            // Linux before 5.9.
            for descriptor in 3..libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 65_536) {
                libc::close(descriptor as libc::c_int);
            }
        }
    }
    Ok(())
}

/// Descriptor 0, after [`keep_only`]. Read and written with read(2) and write(2), the two calls that the jail allows.
pub fn job_descriptor() -> std::fs::File {
    // SAFETY: `keep_only` made descriptor 0, nothing else owns it in the child, and the child never closes it.
    unsafe { std::fs::File::from_raw_fd(0) }
}

/// Replaces the whole environment. For a process with one thread.
pub fn replace_environment(variables: &[(&str, &str)]) {
    let names: Vec<_> = std::env::vars_os().map(|(name, _)| name).collect();
    for name in names {
        // SAFETY: one thread.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in variables {
        // SAFETY: one thread.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Waits until one of the descriptors can be read (or written, where the flag is set), or the time is over. Gives for each
/// whether something happened.
pub fn wait(descriptors: &[(RawFd, bool)], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polls: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|(fd, write)| libc::pollfd {
            fd: *fd,
            events: libc::POLLIN | if *write { libc::POLLOUT } else { 0 },
            revents: 0,
        })
        .collect();
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos() as _,
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the array lives through the call and its length is given; the timeout is null or lives through the call.
    let result = unsafe {
        libc::ppoll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout, std::ptr::null())
    };
    match check(result) {
        Ok(_) => Ok(polls.iter().map(|poll| poll.revents != 0).collect()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(vec![false; polls.len()]),
        Err(error) => Err(error),
    }
}

/// What [`receive`] found.
pub enum Received {
    /// Nothing more for now.
    Empty,
    /// The other end is gone.
    Closed,
}

/// Moves everything readable now into `buffer`, at most until it holds `most` bytes.
pub fn receive(descriptor: &OwnedFd, buffer: &mut Vec<u8>, most: usize) -> Received {
    let mut block = [0u8; 64 << 10];
    while buffer.len() < most {
        // SAFETY: the block is writable for its length.
        let length = unsafe {
            libc::recv(
                descriptor.as_raw_fd(),
                block.as_mut_ptr().cast(),
                block.len(),
                libc::MSG_DONTWAIT,
            )
        };
        match length {
            0 => return Received::Closed,
            1.. => buffer.extend_from_slice(&block[..length as usize]),
            _ => match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Received::Empty,
                _ => return Received::Closed,
            },
        }
    }
    Received::Empty
}

/// Sends as much of `bytes` as fits now; gives how much that was.
pub fn send_some(descriptor: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the bytes are readable for their length.
    let length =
        unsafe { libc::send(descriptor.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    match usize::try_from(length) {
        Ok(length) => Ok(length),
        Err(_) => match io::Error::last_os_error() {
            error
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) =>
            {
                Ok(0)
            }
            error => Err(error),
        },
    }
}

/// Reads what is in a non-blocking pipe, up to `most` bytes.
pub fn drain_pipe(descriptor: &OwnedFd, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    // SAFETY: the buffer is writable for its length.
    let length =
        unsafe { libc::read(descriptor.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    bytes.truncate(usize::try_from(length).unwrap_or(0));
    bytes
}

/// Sends all of `bytes`, waiting at most as long as the socket's own write timeout for each part.
pub fn send_all(descriptor: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are readable for their length.
        let length = unsafe {
            libc::send(
                descriptor.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(length) {
            Ok(length) => bytes = &bytes[length..],
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}
