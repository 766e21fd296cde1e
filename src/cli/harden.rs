//! What the process asks of the system for itself: nothing of its memory on disk, and enough file descriptors.
//!
//! Must not stop a start: a system that refuses is no worse than one that was not asked. What only the outside can
//! take away (files, capabilities, system calls) is left to systemd or the container; `docs/tls.md` has both.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not a caller's: providers, probes, logs, files, the runtime.
const OWN_DESCRIPTORS: u64 = 256;

/// Keeps codes and credentials out of core dumps.
pub(super) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
    // The limit does not bind a kernel that pipes its dumps to a program, as systemd-coredump has it do; this does.
    // It also keeps other processes of the same user from reading our memory.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process remains open to debuggers of the same user");
    }
}

/// Takes as many file descriptors as the system allows, and gives the number of connections they are enough for, up
/// to the one wanted: who waits in the kernel's queue is served later, who meets an exhausted process may not be.
pub(super) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Many systems start processes with 1024 and allow them far more; the small number is for programs of the
        // time of select(2).
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return wanted };
    let fit = fit(wanted, descriptors);
    if fit < wanted {
        tracing::warn!(wanted, fit, descriptors, "server.max_connections is more than there are file descriptors for");
    }
    fit
}

/// Connections that fit, with our own descriptors kept back: all of them, or half of what little there is.
fn fit(wanted: usize, descriptors: u64) -> usize {
    let spare = descriptors.saturating_sub(OWN_DESCRIPTORS.min(descriptors / 2));
    wanted.min(usize::try_from(spare).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        for (wanted, descriptors, expected) in [
            (4096, 1_048_576, 4096),
            (4096, 4352, 4096),
            (4096, 1024, 768),
            (4096, 100, 50),
            (64, 1024, 64),
            (64, 1, 1),
        ] {
            assert_eq!(fit(wanted, descriptors), expected, "{wanted} of {descriptors}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn no_core_dump_is_written() {
        no_core_dumps();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        let behavior = rustix::process::dumpable_behavior().expect("told");
        assert_eq!(behavior, rustix::process::DumpableBehavior::NotDumpable);
    }
}
