//! Memory that stays: freed memory is kept by the process, so that times do not depend on what the system charges for
//! handing it out again.
//!
//! Every execution frees its material, and without this the next one gets fresh pages. In a virtual machine a page costs
//! what the host has to do for it, which changes from minute to minute: offline phases then scatter by half their time,
//! with it by a tenth. Only `check` asks for it, since it costs memory: a large network's peak would stay.

use std::ffi::OsString;

/// glibc's names, and values that keep everything; other allocators ignore them.
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "17179869184"), ("MALLOC_TOP_PAD_", "67108864")];

/// The allocator's settings in the environment, as in `MALLOC_MMAP_MAX_=0`; `None` if it has its own way.
pub fn settings() -> Option<String> {
    let set = SETTINGS.iter().filter_map(|(name, _)| Some(format!("{name}={}", std::env::var(name).ok()?)));
    let set: Vec<String> = set.collect();
    (!set.is_empty()).then(|| set.join(" "))
}

/// Starts this process again, in place, with an allocator that keeps its memory: the allocator reads its settings once,
/// before `main`. Returns if that is so already, or cannot be had.
pub fn keep_memory() {
    if SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    #[cfg(all(unix, target_env = "gnu"))]
    if let Ok(program) = std::env::current_exe() {
        use std::os::unix::process::CommandExt;
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        // Only comes back if it fails; then times are merely less calm.
        let error = std::process::Command::new(program).args(arguments).envs(SETTINGS).exec();
        tracing::warn!("cannot start again with other allocator settings: {error}");
    }
}
