//! Waiting until an instant, precise to a few microseconds: sleep to just before it, then spin.

use std::time::{Duration, Instant};

/// The last stretch is spun. With a 1 ns timer slack a busy core wakes a few microseconds late, but an idle virtual
/// one 60 to 160 (measured by `benches/link.rs` with a stretch of 60).
const SPIN: Duration = Duration::from_micros(200);

/// Returns at `deadline` or as soon after as the machine allows; at once if it has passed.
pub fn wait_until(deadline: Instant) {
    tighten_timer_slack();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SPIN {
            std::thread::sleep(left - SPIN);
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Asks the kernel, once per thread, not to round this thread's timers up by its default 50 us.
fn tighten_timer_slack() {
    thread_local!(static DONE: () = {
        #[cfg(target_os = "linux")]
        {
            let slack = std::num::NonZeroU64::new(1);
            // Without it waiting is still correct, only later by up to 50 us.
            let _ = rustix::thread::set_current_timer_slack(slack);
        }
    });
    DONE.with(|()| ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_returns_early() {
        for us in [0, 20, 200, 3000] {
            let deadline = Instant::now() + Duration::from_micros(us);
            wait_until(deadline);
            assert!(Instant::now() >= deadline);
        }
    }
}
