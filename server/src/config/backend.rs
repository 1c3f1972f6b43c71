//! Reads how a service treats its backends: their health.

use std::time::Duration;

use super::reader::Table;
use super::schema::HealthPolicy;

/// `health = { retry, retry_max }`.
pub(super) fn health(service: &Table<'_>) -> HealthPolicy {
    const RETRY: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(100)..=Duration::from_secs(600);
    const RETRY_MAX: std::ops::RangeInclusive<Duration> =
        Duration::from_millis(100)..=Duration::from_secs(3600);
    let default = HealthPolicy::default();
    let Some(table) = service.get("health").and_then(|node| node.table("service.health")) else {
        return default;
    };
    let retry = table.get("retry").and_then(|node| node.duration(RETRY)).unwrap_or(default.retry);
    let given = table.get("retry_max");
    let retry_max = given.as_ref().and_then(|node| node.duration(RETRY_MAX));
    match (given, retry_max) {
        (Some(node), Some(max)) if max < retry => {
            node.error(
                format!("retry_max ({max:?}) is shorter than retry ({retry:?})"),
                "write at least as much as retry",
            );
            default
        }
        (_, retry_max) => {
            HealthPolicy { retry, retry_max: retry_max.unwrap_or(default.retry_max.max(retry)) }
        }
    }
}
