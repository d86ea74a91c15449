//! The host program of the tests: the library's host, with probes that try the doors of the jail from inside.
//!
//! A source `//probe <name>` makes the jailed child try that instead of running a script; it answers with the errno, or with 0 if
//! the door was open. A probe that the jail answers with death has no answer, but a fault `crashed`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::host_main_with_probe(Some(probe))
}

fn probe(source: &str) -> Option<String> {
    let name = source.strip_prefix("//probe ")?;
    // SAFETY: every call gets valid pointers to constants, or none; a forked child ends at once.
    let result = unsafe {
        match name {
            "nothing" => 0,
            "open" => libc::syscall(
                libc::SYS_openat,
                libc::AT_FDCWD,
                c"/etc/passwd".as_ptr(),
                libc::O_RDONLY,
            ),
            "create" => libc::syscall(
                libc::SYS_openat,
                libc::AT_FDCWD,
                c"/tmp/escaped".as_ptr(),
                libc::O_CREAT | libc::O_RDWR,
                0o600,
            ),
            "socket" => libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0),
            "socket_unix" => libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_DGRAM, 0),
            "connect" => libc::syscall(libc::SYS_connect, 0, 0, 0),
            "execve" => libc::syscall(
                libc::SYS_execve,
                c"/bin/true".as_ptr(),
                std::ptr::null::<u8>(),
                std::ptr::null::<u8>(),
            ),
            "fork" => match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
                0 => libc::_exit(0),
                other => other,
            },
            "clone3" => libc::syscall(libc::SYS_clone3, 0, 0),
            "kill" => libc::syscall(libc::SYS_kill, 1, 0),
            "tgkill" => libc::syscall(libc::SYS_tgkill, 1, 1, 0),
            "ptrace" => libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0),
            "prctl" => libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0),
            "prlimit" => libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_DATA, 0, 0),
            "dup" => libc::syscall(libc::SYS_dup, 0),
            "unshare" => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            "io_uring" => libc::syscall(libc::SYS_io_uring_setup, 1, 0),
            "memfd" => libc::syscall(libc::SYS_memfd_create, c"x".as_ptr(), 0),
            other => panic!("no probe is named {other}"),
        }
    };
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    Some(if result < 0 { errno.to_string() } else { "0".into() })
}
