//! What the running server has learnt of its providers, as rows of `doctor`.
//!
//! Must not learn anything itself: another process holds it in memory, and only that one can tell.

use serde_json::Value;

use super::Table;
use crate::cli::local;
use crate::config::Config;
use crate::provider::{Check, Diagnosis};

/// The ways that most messages take, after those in which a provider falls behind: a page that a person reads.
const MAX_ROWS: usize = 20;

/// Asks the server that runs on this machine. That none does is no fault.
pub(super) fn learned(config: &Config, table: &mut Table) {
    let mut untold = |why: String| table.add("learnt", Check::new("server", Diagnosis::Warn(why)));
    let listen = config.admin.listen;
    let page = match local::get(listen, "/learned", config.admin_token.as_ref()) {
        Ok((200, page)) => serde_json::from_str::<Value>(&page).unwrap_or_default(),
        Ok((status, _)) => return untold(format!("{listen} answers HTTP {status}")),
        Err(_) => return untold(format!("no server answers at {listen}, and it alone knows")),
    };
    let Some(rows) = page["learned"].as_array() else { return untold("the answer cannot be read".to_owned()) };
    let shown = rows.len().min(MAX_ROWS);
    for row in &rows[..shown] {
        table.add("learnt", check(row));
    }
    let told = match rows.len() - shown {
        0 if shown > 0 => return,
        0 => "nothing was sent in the last half hour".to_owned(),
        more => format!("and {more} more at GET /learned"),
    };
    table.add("learnt", Check::new("server", Diagnosis::Ok(told)));
}

fn check(row: &Value) -> Check {
    let word = |key: &str| row[key].as_str().unwrap_or("?");
    let count = |key: &str| row[key].as_u64().unwrap_or_default();
    let what = format!("{} {} {}", word("provider"), word("country"), word("channel"));
    let counts = format!(
        "accepted {} of {}, delivered {} of {}, converted {} of {}",
        count("accepted"),
        count("accepted") + count("failed"),
        count("delivered"),
        count("delivered") + count("undelivered"),
        count("converted"),
        count("awaited"),
    );
    let behind: Vec<&str> = row["behind_in"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let diagnosis = if behind.is_empty() {
        Diagnosis::Ok(format!("{counts}: fine"))
    } else {
        Diagnosis::Warn(format!("{counts}: falls behind in {}", behind.join(" and ")))
    };
    Check::new(&what, diagnosis)
}
