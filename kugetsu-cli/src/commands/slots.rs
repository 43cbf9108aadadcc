//! `kugetsu slots`: who holds the places for agents.

use kugetsu_core::{SlotHolder, SlotKey, SlotPool};
use serde_json::json;

use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::setup::Setup;

pub(super) async fn slots(setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (screen, pool) = (setup.screen(), setup.slots()?);
    let mut classes = Vec::new();
    for key in [SlotKey::Dev, SlotKey::Pm] {
        classes.push((pool.limit(&key), pool.holders(&key).await?, key));
    }
    if screen.json {
        let told: Vec<_> = classes
            .iter()
            .map(|(limit, holders, key)| {
                json!({
                    "class": key.to_string(),
                    "limit": limit,
                    "held": holders.iter().map(json_of).collect::<Vec<_>>(),
                })
            })
            .collect();
        return screen.answer(&json!({ "slots": told }));
    }
    let mut rows = Rows::new(["CLASS", "PLACE", "HOLDER", "PID", "SINCE"]);
    for (limit, holders, key) in &classes {
        for place in 0..*limit {
            rows.row(row(key, place, holders.iter().find(|holder| holder.index == place)));
        }
        // After the limit was lowered, places above it may still be held.
        for holder in holders.iter().filter(|holder| holder.index >= *limit) {
            rows.row(row(key, holder.index, Some(holder)));
        }
    }
    rows.show(screen)
}

fn row(key: &SlotKey, place: u32, holder: Option<&SlotHolder>) -> [String; 5] {
    let dash = || "-".to_owned();
    let Some(holder) = holder else {
        return [key.to_string(), place.to_string(), "free".into(), dash(), dash()];
    };
    [
        key.to_string(),
        place.to_string(),
        escape::line(&holder.holder),
        holder.pid.map_or_else(dash, |pid| pid.to_string()),
        holder.since.map_or_else(dash, time::clock),
    ]
}

fn json_of(holder: &SlotHolder) -> serde_json::Value {
    json!({
        "place": holder.index,
        "holder": holder.holder,
        "pid": holder.pid,
        "since": holder.since.and_then(time::rfc3339),
    })
}
