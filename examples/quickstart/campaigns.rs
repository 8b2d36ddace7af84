//! Campaigns: the rows, the queries for them, and what may be changed.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// One campaign as a client sees it.
#[derive(Debug, Serialize)]
pub(crate) struct Campaign {
    workspace: String,
    id: i64,
    name: String,
    #[serde(serialize_with = "amount")]
    budget: f64,
    updated_at: String,
}

impl Campaign {
    const COLUMNS: &str = "workspace, id, name, budget, updated_at";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            workspace: row.get(0)?,
            id: row.get(1)?,
            name: row.get(2)?,
            budget: row.get(3)?,
            updated_at: row.get(4)?,
        })
    }
}

/// What a client may change; what it leaves out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    name: Option<String>,
    budget: Option<f64>,
}

impl Change {
    /// The largest budget; whole amounts up to here are exact.
    const MAX_BUDGET: f64 = 1e12;

    /// Says what is wrong with the change, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.name.is_none() && self.budget.is_none() {
            return Err("nothing to change: give `name`, `budget`, or both".into());
        }
        let fits = |name: &String| !name.trim().is_empty() && name.chars().count() <= 120;
        if !self.name.as_ref().is_none_or(fits) {
            return Err("`name` must have 1 to 120 characters".into());
        }
        if self.budget.is_some_and(|budget| !(0.0..=Self::MAX_BUDGET).contains(&budget)) {
            return Err(format!("`budget` must lie between 0 and {}", Self::MAX_BUDGET));
        }
        Ok(())
    }
}

/// One page of a workspace's campaigns, and how many there are in all.
pub(crate) fn list(
    db: &Connection,
    workspace: &str,
    skip: u64,
    limit: u32,
) -> rusqlite::Result<(Vec<Campaign>, i64)> {
    let total =
        db.query_row("SELECT count(*) FROM campaigns WHERE workspace = ?1", [workspace], |row| {
            row.get(0)
        })?;
    let mut query = db.prepare_cached(&format!(
        "SELECT {} FROM campaigns WHERE workspace = ?1 ORDER BY id LIMIT ?2 OFFSET ?3",
        Campaign::COLUMNS
    ))?;
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let campaigns = query
        .query_map(params![workspace, limit, skip], Campaign::from_row)?
        .collect::<rusqlite::Result<_>>()?;
    Ok((campaigns, total))
}

/// One campaign, if the workspace has it.
pub(crate) fn find(
    db: &Connection,
    workspace: &str,
    id: i64,
) -> rusqlite::Result<Option<Campaign>> {
    db.prepare_cached(&format!(
        "SELECT {} FROM campaigns WHERE workspace = ?1 AND id = ?2",
        Campaign::COLUMNS
    ))?
    .query_row(params![workspace, id], Campaign::from_row)
    .optional()
}

/// Changes a campaign and returns it as it is now, if the workspace has it.
pub(crate) fn update(
    db: &Connection,
    workspace: &str,
    id: i64,
    change: &Change,
) -> rusqlite::Result<Option<Campaign>> {
    let name = change.name.as_deref().map(str::trim);
    db.prepare_cached(&format!(
        "UPDATE campaigns
         SET name = coalesce(?3, name), budget = coalesce(?4, budget),
             updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
         WHERE workspace = ?1 AND id = ?2 RETURNING {}",
        Campaign::COLUMNS
    ))?
    .query_row(params![workspace, id, name, change.budget], Campaign::from_row)
    .optional()
}

/// Writes whole amounts without a fraction: `500`, not `500.0`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn amount<S: serde::Serializer>(amount: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if amount.fract() == 0.0 && (0.0..=Change::MAX_BUDGET).contains(amount) {
        #[allow(clippy::cast_possible_truncation, reason = "whole, and far below 2^53")]
        serializer.serialize_i64(*amount as i64)
    } else {
        serializer.serialize_f64(*amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> Result<(), String> {
        serde_json::from_str::<Change>(json).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn changes_are_checked() {
        for good in [r#"{"name":"A","budget":1}"#, r#"{"budget":0.5}"#, r#"{"name":"A"}"#] {
            assert_eq!(change(good), Ok(()), "{good}");
        }
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(121));
        for bad in ["{}", r#"{"name":" "}"#, r#"{"budget":-1}"#, r#"{"budget":1e13}"#, &long] {
            assert!(change(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_budgets_have_no_fraction() -> serde_json::Result<()> {
        let campaign = |budget| Campaign {
            workspace: "ws1".into(),
            id: 1,
            name: "A".into(),
            budget,
            updated_at: String::new(),
        };
        assert!(serde_json::to_string(&campaign(500.0))?.contains(r#""budget":500,"#));
        assert!(serde_json::to_string(&campaign(99.5))?.contains(r#""budget":99.5,"#));
        Ok(())
    }
}
