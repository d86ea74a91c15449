//! The clock: the one place where a node reads the time. Rooms get it as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wire::Millis;

/// Now, by this machine's clock.
pub fn now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Waits until a moment; for ever if there is none.
pub async fn sleep_until(moment: Option<Millis>) {
    match moment {
        Some(moment) => tokio::time::sleep(Duration::from_millis(moment.since(now()))).await,
        None => std::future::pending().await,
    }
}
